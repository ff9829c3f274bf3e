"""The customers over real HTTP against a web server that notes what they ask for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reku.catalogue import institutes
from reku.catalogue.bot_rules import FILE, load_bot_rules
from reku.foundation import clock
from reku.foundation.settings import INCLUDE
from reku.responses.bots import Hit, mark_bots
from reku.simulator import customers
from reku.simulator.customers import CLICKS_AFTER, OPENS_AFTER, Acts, Customers
from reku.simulator.devices import DEVICES, Device, device_of
from reku.simulator.truth_file import TruthFile, entries, put
from reku.simulator.world import SAVINGS_BANKS, Bounce, DemoWorld, ExpectedOutcome, PlannedRow, Unsubscribes

PAGE = (
    '<form method="post"><input type="hidden" name="k" value="1"><button name="abmelden" value="ja">Ja</button></form>'
)


class Tracker(ThreadingHTTPServer):
    """A web server that answers like the tracker; `status` other than 200 makes it answer only that."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, str]] = []
        self.agents: list[str] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Tracker

    def do_GET(self) -> None:
        self.answer("GET", "")

    def do_POST(self) -> None:
        self.answer("POST", self.rfile.read(int(self.headers["Content-Length"])).decode())

    def answer(self, method: str, body: str) -> None:
        self.server.asked.append((method, self.path, body))
        self.server.agents.append(self.headers["User-Agent"])
        redirects = self.path.startswith("/c/") and self.server.status == 200
        self.send_response(302 if redirects else self.server.status)
        if redirects:
            self.send_header("Location", "https://www.sparkasse-musterstadt.example/giro?utm=1#oben")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    server = Tracker()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Post:
    """Delivers mails as the sink does, and lets the customers act."""

    def __init__(self, world: DemoWorld, folder: Path, tracker: Tracker) -> None:
        self.world, self.folder, self.tracker = world, folder, tracker

    def deliver(self, row: PlannedRow, *, tracked: bool = True, recipient: str = "", ago: float = 60) -> None:
        base = self.tracker.url
        link = f"{base}/c/token" if tracked else "https://www.sparkasse-musterstadt.example/giro"
        pixel = f'<img src="{base}/o/token.gif">' if tracked else ""
        message = EmailMessage()
        message["Message-ID"] = "<1@sparkasse-musterstadt.example>"
        message["List-Unsubscribe"] = f"<mailto:x@bounce.example>, <{base}/u/token>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content("Text")
        html = f'<a href="{base}/u/token">Von diesen E-Mails <b>abmelden</b></a><a href="{link}">Mehr</a>{pixel}'
        message.add_alternative(html, subtype="html")
        name = put(self.folder / "mails", message.as_bytes())
        journal = TruthFile(self.folder / "sink.jsonl")
        journal.append(
            {
                "what": "taken",
                "mail": name,
                "recipient": recipient or row.customer.address.upper(),
                "envelope_from": "b+token@bounce.example",
                "message_id": message["Message-ID"],
                "feedback_id": f"{row.delivery_number:06d}:{row.order.number}:{row.order.institute}:reku",
                "at": (clock.now() - timedelta(seconds=ago)).isoformat(),
            }
        )
        journal.close()

    def customers(self) -> Customers:
        return Customers(
            self.world,
            sink_truth=self.folder / "sink.jsonl",
            maildir=self.folder / "mails",
            return_maildir=self.folder / "returned",
            truth=self.folder / "customers.jsonl",
            tracker_url=self.tracker.url,
        )

    def act(self) -> Acts:
        with self.customers() as customers:
            return customers.act()

    def done(self) -> list[dict[str, str]]:
        return [entry for entry in entries(self.folder / "customers.jsonl") if entry["phase"] == "done"]

    def returned(self) -> list[EmailMessage]:
        folder = self.folder / "returned" / "new"
        paths = sorted(folder.iterdir()) if folder.exists() else []
        return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]  # type: ignore[misc]  # EmailMessage by this policy


@pytest.fixture
def post(world: DemoWorld, tmp_path: Path, tracker: Tracker) -> Post:
    return Post(world, tmp_path, tracker)


def a_row(world: DemoWorld, **behaviour: object) -> PlannedRow:
    """Some row that is sent and whose customer does just that, besides opening."""
    return next(
        row
        for row in world.rows()
        if row.outcome is ExpectedOutcome.SENT
        and all(
            getattr(row.behaviour, name) == behaviour.get(name, default)
            for name, default in (("clicks", 0), ("unsubscribes", None), ("bounces", None), ("auto_reply", False))
        )
        and row.behaviour.opens == behaviour.get("opens", bool(behaviour.get("clicks")))
    )


def test_opens_and_clicks_up_to_the_redirect(post: Post, world: DemoWorld) -> None:
    post.deliver(a_row(world, clicks=1))
    assert post.act() == Acts(done=2)
    assert post.tracker.asked == [("GET", "/o/token.gif", ""), ("GET", "/c/token", "")]
    opened, clicked = post.done()
    assert opened["pixels"] == "1"
    assert clicked["counted"] == "yes"
    assert clicked["target"] == "https://www.sparkasse-musterstadt.example/giro"


def test_a_mail_is_opened_and_clicked_when_there_was_time_to_read_it(
    post: Post, world: DemoWorld, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Hours, so that a slow machine does not reach the next one by itself.
    monkeypatch.setattr(customers, "OPENS_AFTER", timedelta(hours=1))
    monkeypatch.setattr(customers, "CLICKS_AFTER", timedelta(hours=2))
    post.deliver(a_row(world, clicks=1), ago=0)
    arrived = clock.now()
    with post.customers() as people:
        assert people.act() == Acts(open=2)
        clock_at(arrived + timedelta(hours=1))
        assert people.act() == Acts(done=1, open=1)
        clock_at(arrived + timedelta(hours=2))
        assert people.act() == Acts(done=1)
    assert [path for _, path, _ in post.tracker.asked] == ["/o/token.gif", "/c/token"]


def test_each_person_has_a_device_with_a_name(post: Post, world: DemoWorld) -> None:
    row = a_row(world, clicks=1)
    post.deliver(row)
    post.act()
    device = device_of(row.customer.person_number)
    assert post.tracker.agents == [device.mail_program, device.browser]
    assert {device_of(customer.person_number) for customer in world.customers} == set(DEVICES)


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.mail_program[:40])
@pytest.mark.parametrize("pause", [CLICKS_AFTER - OPENS_AFTER, timedelta(milliseconds=5)], ids=["read", "late"])
def test_customers_are_taken_for_people(device: Device, pause: timedelta) -> None:
    """Also where a busy machine lets them open and click at once."""
    sent_at = datetime.fromisoformat("2026-11-24T10:31:00+01:00")
    opened = Hit("OPENED", sent_at + OPENS_AFTER, 0, device.mail_program)
    clicked = Hit("CLICKED", opened.at + pause, 1, device.browser)
    assert mark_bots([opened, clicked], sent_at, load_bot_rules(INCLUDE / FILE)) == ["", ""]


def test_without_pixel_and_counted_links_nothing_is_asked_for(post: Post, world: DemoWorld) -> None:
    post.deliver(a_row(world, clicks=1), tracked=False)
    assert post.act() == Acts(done=2)
    assert post.tracker.asked == []
    assert [entry.get("pixels", entry.get("counted")) for entry in post.done()] == ["0", "no"]


def test_unsubscribes_by_the_page(post: Post, world: DemoWorld) -> None:
    post.deliver(a_row(world, unsubscribes=Unsubscribes.LINK))
    assert post.act() == Acts(done=1)
    assert post.tracker.asked == [("GET", "/u/token", ""), ("POST", "/u/token", "k=1&abmelden=ja")]


def test_unsubscribes_by_one_click(post: Post, world: DemoWorld) -> None:
    post.deliver(a_row(world, unsubscribes=Unsubscribes.EINKLICK, opens=True))
    assert post.act() == Acts(done=2)
    assert post.tracker.asked[-1] == ("POST", "/u/token", "List-Unsubscribe=One-Click")


@pytest.mark.parametrize("status", Bounce)
def test_bounces_come_back_to_the_envelope_sender(post: Post, world: DemoWorld, status: Bounce) -> None:
    row = a_row(world, bounces=status)
    post.deliver(row)
    assert post.act() == Acts(done=1)
    (report,) = post.returned()
    assert report["To"] == "b+token@bounce.example"
    assert report.get_content_type() == "multipart/report"
    _, about, _ = report.iter_parts()
    assert about.get_content_type() == "message/delivery-status"
    assert f"Status: {status}" in about.as_string()
    assert "Action: failed" in about.as_string()


def test_an_automatic_answer_is_marked_as_one(post: Post, world: DemoWorld) -> None:
    post.deliver(a_row(world, auto_reply=True))
    assert post.act() == Acts(done=1)
    (answer,) = post.returned()
    assert answer["Auto-Submitted"] == "auto-replied"
    assert answer.get_content_type() == "text/plain"


def test_what_is_done_is_done_once_also_by_the_next_process(post: Post, world: DemoWorld) -> None:
    post.deliver(a_row(world, clicks=1))
    assert post.act() == Acts(done=2)
    assert post.act() == Acts()
    assert len(post.tracker.asked) == 2


def test_a_tracker_that_is_away_is_waited_for(post: Post, world: DemoWorld) -> None:
    post.deliver(a_row(world, clicks=1))
    post.tracker.server_close()
    with post.customers() as customers:
        for _ in range(8):
            assert customers.act() == Acts(open=2)
    assert post.done() == []


def test_a_wrong_answer_is_tried_again_and_then_given_up(post: Post, world: DemoWorld) -> None:
    post.deliver(a_row(world, unsubscribes=Unsubscribes.LINK))
    post.tracker.status = 404
    with post.customers() as customers:
        assert [customers.act() for _ in range(6)] == [Acts(open=1)] * 4 + [Acts(failed=1)] * 2
    assert post.done() == []
    why = [entry["why"] for entry in entries(post.folder / "customers.jsonl") if entry["phase"] == "failed"]
    assert why == ["the unsubscribe page was answered with 404"] * 5


def test_a_mail_of_nobody_is_counted(post: Post, world: DemoWorld) -> None:
    rejected = next(row for row in world.rows() if row.outcome is ExpectedOutcome.REJECTED)
    post.deliver(rejected)
    assert post.act() == Acts(unknown_mails=1)


def test_nobody_reacts_to_a_copy_for_the_control_address(post: Post, world: DemoWorld) -> None:
    row = a_row(world, clicks=1)
    own, other = (
        str(institutes()[bank].control_address) for bank in sorted(SAVINGS_BANKS, key=row.order.institute.__ne__)
    )
    post.deliver(row, recipient=own)
    assert post.act() == Acts()
    post.deliver(row, recipient=other)
    assert post.act() == Acts(unknown_mails=1)
    assert post.tracker.asked == []
