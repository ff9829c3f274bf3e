"""The tracker over real HTTP (docs/domain.md, rules 17 and 18; RFC 8058)."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from reku.catalogue.medium_pictures import picture_address
from reku.foundation.addresses import address_hmac
from reku.foundation.settings import INCLUDE, settings
from reku.foundation.tokens import Purpose, Target, _hashed_keys, make
from reku.responses import background_work
from reku.responses.hits import take_in
from reku.responses.tracker import PIXEL
from reku.responses.tracker_state import TrackerState
from reku.store.kinds import EventKind, SuppressionKind
from reku.store.tables import audit, feedback_rows, response_counts, responses, suppressions
from reku_testing import banks, world
from tests.conftest import NEWER_KEY
from tests.responses.conftest import BROWSER

pytestmark = pytest.mark.usefixtures("bank")

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def link(purpose: Purpose, message: int, number: int = 0) -> str:
    token = make(purpose, Target(message, number))
    return f"/{purpose}/{token}" + (".gif" if purpose is Purpose.OPEN else "")


def barred(engine: sa.Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(suppressions)).all())


def counted(engine: sa.Engine) -> dict[tuple[str, int], int]:
    c = response_counts.c
    with engine.connect() as connection:
        return {
            (row.kind, row.link_number): row.count
            for row in connection.execute(sa.select(c.kind, c.link_number, c.count))
        }


def test_a_picture_of_a_medium(web: httpx.Client) -> None:
    content = (INCLUDE / "templates/scom/geburtstag/kopf.png").read_bytes()
    path = picture_address("", "SCOM_GEBURTSTAG", "kopf.png", content)
    answer = web.get(path)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, content, "image/png")
    assert (answer.headers["cache-control"], "set-cookie" in answer.headers) == (
        "public, max-age=31536000, immutable",
        False,
    )
    for wrong in (path.replace("kopf", "kopf2"), "/b/scom_geburtstag/mail.mjml", "/b/..%2Fx/kopf.000000000000.png"):
        assert web.get(wrong).status_code == 404


def test_health(web: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_INSTANCE", "abc")
    answer = web.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {"service": "reku-tracker", "instance": "abc", "lost": 0, "limited": 0, "behind": ""}


def test_health_names_a_missing_setting(web: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_DATABASE_URL", "")
    settings.cache_clear()
    answer = web.get("/health")
    assert answer.status_code == 503
    assert "REKU_DATABASE_URL" in answer.json()["problem"]


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, True),
        ({"X-Forwarded-For": "198.51.100.7"}, False),
        ({"X-Real-IP": "198.51.100.7"}, False),
        ({"Forwarded": "for=198.51.100.7"}, False),
        ({"Via": "1.1 proxy.example"}, False),
    ],
)
@pytest.mark.parametrize("broken", [False, True])
def test_health_tells_details_to_this_machine_only(
    web: httpx.Client, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], told: bool, broken: bool
) -> None:
    if broken:
        monkeypatch.setenv("REKU_DATABASE_URL", "")
        settings.cache_clear()
    answer = web.get("/health", headers=headers)
    assert answer.status_code == (503 if broken else 200)
    assert ("instance" in answer.json(), "problem" in answer.json()) == (told, told and broken)
    assert answer.json()["service"] == "reku-tracker"


@pytest.mark.parametrize(
    "header",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Sec-Purpose": "prefetch; anonymous-client-ip"},
        {"Purpose": "prefetch"},
        {"X-Moz": "Prefetch"},
        {"X-Purpose": "preview"},
    ],
)
def test_what_is_fetched_ahead_is_answered_and_not_recorded(
    web: httpx.Client, sent: Any, events: Any, database: sa.Engine, header: dict[str, str]
) -> None:
    message = sent()
    anonymous = f"/a/{make(Purpose.ANONYMOUS, Target(1, 1, 'SCOM_GEBURTSTAG'))}"
    assert web.get(link(Purpose.CLICK, message, 1), headers=header).status_code == 302
    assert web.get(anonymous, headers=header).status_code == 302
    assert web.get(link(Purpose.OPEN, message), headers=header).status_code == 200
    assert (events(), counted(database)) == ([], {})
    assert web.get(link(Purpose.CLICK, message, 1), headers={"Sec-Purpose": "navigate"}).status_code == 302
    assert [event[1] for event in events()] == ["CLICKED"]


def test_a_flood_on_one_message_is_answered_and_not_recorded(
    web: httpx.Client, sent: Any, events: Any, database: sa.Engine
) -> None:
    message, other = sent(1), sent(2)
    for _ in range(80):
        assert web.get(link(Purpose.CLICK, message, 1)).status_code == 302
    assert web.get(link(Purpose.CLICK, other, 1)).status_code == 302
    found = events()
    assert {event[0] for event in found} == {message, other}
    assert len(found) <= 4, "one click an hour; the hour may end meanwhile"
    assert web.get("/health").json()["limited"] >= 25


def test_open(web: httpx.Client, sent: Any, events: Any) -> None:
    message = sent()
    answer = web.get(link(Purpose.OPEN, message))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/gif"
    assert answer.content.startswith(b"GIF89a")
    assert events() == [(message, "OPENED", "", None)]


def test_click_leads_to_the_link_of_the_medium(web: httpx.Client, sent: Any, database: sa.Engine) -> None:
    message = sent()
    answer = web.get(link(Purpose.CLICK, message, 1))
    assert answer.status_code == 302
    assert answer.headers["location"] == "https://www.sparkasse.example/geburtstag"
    take_in(database)
    with database.connect() as connection:
        event = connection.execute(sa.select(responses)).one()
    assert (event.kind, event.link_number) == (EventKind.CLICKED, 1)
    assert event.link_target == "https://www.sparkasse.example/geburtstag"


@pytest.mark.parametrize("number", [0, 99])
def test_click_on_a_link_that_the_medium_has_not(web: httpx.Client, sent: Any, events: Any, number: int) -> None:
    assert web.get(link(Purpose.CLICK, sent(), number)).status_code == 404
    assert events() == []


def test_click_of_an_unknown_bank_leads_nowhere(web: httpx.Client, sent: Any, events: Any, bank: Path) -> None:
    message = sent()
    (bank / "institutes" / f"{world.BLZ}.yaml").unlink()
    assert web.get(link(Purpose.CLICK, message, 1)).status_code == 404
    assert events() == []


def test_replay_within_a_second_is_one_event(
    web: httpx.Client, sent: Any, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = world.CREATED
    monkeypatch.setattr("reku.foundation.clock.now", lambda: moment)
    message = sent()
    for _ in range(3):
        web.get(link(Purpose.OPEN, message))
    assert len(events()) == 1


def test_no_person_without_tracking_consent(web: httpx.Client, sent: Any, events: Any, database: sa.Engine) -> None:
    message = sent(tracking=False)
    for _ in range(2):
        assert web.get(link(Purpose.OPEN, message)).status_code == 200
    assert web.get(link(Purpose.CLICK, message, 1)).status_code == 302
    assert events() == []
    assert counted(database) == {("OPENED", 0): 2, ("CLICKED", 1): 1}


@pytest.mark.parametrize("purpose", [Purpose.OPEN, Purpose.CLICK, Purpose.UNSUBSCRIBE])
def test_head_is_answered_and_records_nothing(
    web: httpx.Client, sent: Any, events: Any, database: sa.Engine, purpose: Purpose
) -> None:
    path = link(purpose, sent(), 1 if purpose is Purpose.CLICK else 0)
    answer = web.head(path)
    assert answer.status_code == (302 if purpose is Purpose.CLICK else 200)
    assert answer.content == b""
    assert (events(), barred(database)) == ([], [])


def test_get_of_the_unsubscribe_page_changes_nothing(
    web: httpx.Client, sent: Any, events: Any, database: sa.Engine
) -> None:
    message = sent()
    for _ in range(2):
        answer = web.get(link(Purpose.UNSUBSCRIBE, message))
    assert answer.status_code == 200
    assert "Sparkasse Beispielstadt" in answer.text
    assert '<form method="post">' in answer.text
    assert "<script" not in answer.text
    for private in (
        "person1",
        "kunde.example",
        "Jördis",
        "Beispiel-Müßig",
        "0000000001",
        address_hmac(world.BLZ, "person1@kunde.example"),
    ):
        assert private not in answer.text
    assert (events(), barred(database)) == ([], [])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"data": ONE_CLICK}, "EINKLICK"),
        ({"files": {"List-Unsubscribe": (None, "One-Click")}}, "EINKLICK"),  # multipart
        ({"data": {"abmelden": "ja"}}, "LINK"),
        ({"content": b""}, "LINK"),
        ({"content": b"x" * 1_000_000}, "LINK"),
    ],
)
def test_unsubscribe(
    web: httpx.Client, sent: Any, events: Any, database: sa.Engine, body: dict[str, Any], reason: str
) -> None:
    message = sent()
    answer = web.post(link(Purpose.UNSUBSCRIBE, message), **body)
    assert answer.status_code == 200
    assert "abgemeldet" in answer.text
    assert "set-cookie" not in answer.headers
    assert events() == [(message, "UNSUBSCRIBED", reason, "ORDER")]
    (entry,) = barred(database)
    assert (entry.kind, entry.institute, entry.source) == (SuppressionKind.UNSUBSCRIBED, world.BLZ, reason)
    assert entry.recipient_key == address_hmac(world.BLZ, "person1@kunde.example")
    assert (entry.person_number, entry.order_id is not None) == ("0000000001", True)


def test_each_person_of_a_shared_address_is_barred_by_number(web: httpx.Client, sent: Any, database: sa.Engine) -> None:
    """Whoever unsubscribed second must stay barred, too, after changing the address."""
    hmac = "a" * 64
    for number in (1, 2):
        assert web.post(link(Purpose.UNSUBSCRIBE, sent(number, recipient_key=hmac)), data=ONE_CLICK).status_code == 200
    with database.connect() as connection:
        people = connection.scalars(sa.select(suppressions.c.person_number).order_by(suppressions.c.person_number))
        assert people.all() == ["0000000001", "0000000002"]


def test_second_unsubscribe_changes_nothing(web: httpx.Client, sent: Any, events: Any, database: sa.Engine) -> None:
    path = link(Purpose.UNSUBSCRIBE, sent())
    for body in (ONE_CLICK, ONE_CLICK, {"abmelden": "ja"}):
        assert web.post(path, data=body).status_code == 200
    assert len(events()) == len(barred(database)) == 1


def test_many_at_once_are_one(web: httpx.Client, sent: Any, events: Any, database: sa.Engine) -> None:
    path = link(Purpose.UNSUBSCRIBE, sent())
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: web.post(path, data=ONE_CLICK).status_code, range(32)))
    assert set(answers) == {200}
    assert len(events()) == len(barred(database)) == 1


EVERYTHING, UNDO = {"abmelden": "alles"}, {"abmelden": "zurueck"}


def test_the_page_names_the_topic_and_knows_what_has_been_done(web: httpx.Client, sent: Any) -> None:
    path = link(Purpose.UNSUBSCRIBE, sent())
    assert "zum Thema „Geburtstag“" in web.get(path).text
    said = web.post(path, data={"abmelden": "ja"}).text
    for text in (said, web.get(path).text):
        assert "Sie sind abgemeldet" in text
        assert "Bis 25.11.2026, 09:00 Uhr" in text
        assert 'value="alles"' in text
    of_another_mail = web.get(
        link(Purpose.UNSUBSCRIBE, sent(2, recipient_key=address_hmac(world.BLZ, "person1@kunde.example")))
    )
    assert "Sie sind abgemeldet" in of_another_mail.text
    assert "zurücknehmen" not in of_another_mail.text, "only by the mail that it was done with"


def test_all_mails_of_the_bank(web: httpx.Client, sent: Any, events: Any, database: sa.Engine) -> None:
    message = sent()
    path = link(Purpose.UNSUBSCRIBE, message)
    web.post(path, data={"abmelden": "ja"})
    answer = web.post(path, data=EVERYTHING)
    assert "keine werblichen" in answer.text
    assert {entry.order_id is None for entry in barred(database)} == {True, False}
    assert events() == [(message, "UNSUBSCRIBED", "LINK", "INSTITUTE")]


def test_taken_back_by_the_same_mail(web: httpx.Client, sent: Any, events: Any, database: sa.Engine) -> None:
    path = link(Purpose.UNSUBSCRIBE, sent())
    for body in (ONE_CLICK, EVERYTHING):
        web.post(path, data=body)
    answer = web.post(path, data=UNDO)
    assert (answer.status_code, "zurückgenommen" in answer.text) == (200, True)
    assert (events(), barred(database)) == ([], [])
    with database.connect() as connection:
        assert connection.execute(sa.select(audit.c.actor, audit.c.action)).all() == [("recipient", "undo unsubscribe")]
    assert "Möchten Sie diese" in web.post(path, data=UNDO).text, "a second press does nothing"
    web.post(path, data=ONE_CLICK)
    assert len(events()) == len(barred(database)) == 1


@pytest.mark.parametrize("why", ["told", "late", "twice"])
def test_not_taken_back(
    web: httpx.Client, sent: Any, events: Any, database: sa.Engine, clock_at: Any, why: str
) -> None:
    """What the core system knows, what is a day old, and what another mail has done stays."""
    first, second = sent(1), sent(2, recipient_key=address_hmac(world.BLZ, "person1@kunde.example"))
    web.post(link(Purpose.UNSUBSCRIBE, first), data=ONE_CLICK)
    with database.begin() as connection:
        if why == "told":
            event = connection.scalar(sa.select(responses.c.id))
            row = {"response_id": event, "file_id": 1, "institute": world.BLZ}
            connection.execute(sa.insert(feedback_rows).values(row))
    if why == "late":
        clock_at(datetime(2026, 11, 25, 8, 1, tzinfo=UTC))
    of = second if why == "twice" else first
    answer = web.post(link(Purpose.UNSUBSCRIBE, of), data=UNDO)
    assert (answer.status_code, "nicht mehr zurücknehmen" in answer.text) == (409, True)
    assert len(events()) == len(barred(database)) == 1


def test_scope_by_the_bank(
    web: httpx.Client, sent: Any, events: Any, database: sa.Engine, bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    banks.configure(monkeypatch, bank, unsubscribe_scope="institute")
    message = sent()
    web.post(link(Purpose.UNSUBSCRIBE, message), data=ONE_CLICK)
    assert events() == [(message, "UNSUBSCRIBED", "EINKLICK", "INSTITUTE")]
    assert barred(database)[0].order_id is None


@pytest.mark.parametrize("broken", ["gone", "spoilt"])
def test_unsubscribe_works_without_the_banks_file(
    web: httpx.Client, sent: Any, events: Any, bank: Path, broken: str
) -> None:
    message = sent()
    file = bank / "institutes" / f"{world.BLZ}.yaml"
    file.unlink() if broken == "gone" else file.write_text("blz: {", encoding="utf-8")
    assert web.get(link(Purpose.UNSUBSCRIBE, message)).status_code == 200
    assert web.post(link(Purpose.UNSUBSCRIBE, message), data=ONE_CLICK).status_code == 200
    assert [event[1] for event in events()] == ["UNSUBSCRIBED"]


def test_unsubscribe_survives_key_rotation(
    web: httpx.Client, sent: Any, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = link(Purpose.UNSUBSCRIBE, sent())
    monkeypatch.setenv("REKU_TOKEN_KEYS", f"{NEWER_KEY},the newest key of tests as long as one has to be")
    settings.cache_clear()
    _hashed_keys.cache_clear()
    assert web.post(path, data=ONE_CLICK).status_code == 200
    assert len(events()) == 1


@pytest.mark.parametrize("purpose", [Purpose.OPEN, Purpose.CLICK, Purpose.UNSUBSCRIBE])
def test_tokens_that_are_not_ours(
    web: httpx.Client, sent: Any, events: Any, database: sa.Engine, purpose: Purpose
) -> None:
    message = sent()
    good = make(purpose, Target(message, 1))
    tampered = [
        good + "x",
        good.upper(),
        good.swapcase(),
        good.replace(".", ""),
        f"2{good}",
        "%00",
        "é",
        "..",
        "%2e%2e%2f",
    ]
    cut = [good[:length] for length in range(1, len(good))]
    of_other_purposes = [make(other, Target(message, 1)) for other in Purpose if other is not purpose]
    # the pixel does not ask the database whether there is such a message: nothing is recorded all the same
    unknown = (2**80,) if purpose is Purpose.OPEN else (0, 4711, 2**80)
    of_no_message = [make(purpose, Target(number, 1)) for number in unknown]
    for token in tampered + cut + of_other_purposes + of_no_message:
        path = f"/{purpose}/{token}" + (".gif" if purpose is Purpose.OPEN else "")
        answers = [web.get(path)] + ([web.post(path, data=ONE_CLICK)] if purpose is Purpose.UNSUBSCRIBE else [])
        for answer in answers:
            assert answer.status_code == 404, token
            assert "Link ist nicht gültig" in answer.text
    assert (events(), barred(database)) == ([], [])


@pytest.mark.parametrize(
    "path", ["/", "/u/", "/c/", "/o/x", "/u/a/b", "/etc/passwd", "/u/" + "a" * 5_000, "/?" + "q" * 5_000]
)
def test_unknown_paths_get_a_friendly_page(web: httpx.Client, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 404
    assert "Link ist nicht gültig" in answer.text


def test_anonymous_links_count_for_the_delivery_and_lead_to_the_medium(
    web: httpx.Client, sent: Any, events: Any, database: sa.Engine
) -> None:
    sent(tracking=False)
    path = f"/a/{make(Purpose.ANONYMOUS, Target(1, 1, 'SCOM_GEBURTSTAG'))}"
    for _ in range(2):
        answer = web.get(path, headers={"User-Agent": "never to be kept"})
        assert (answer.status_code, answer.headers["location"]) == (302, "https://www.sparkasse.example/geburtstag")
    assert web.head(path).status_code == 302
    assert events() == []
    assert counted(database) == {("CLICKED", 1): 2}
    wrong = [
        Target(4711, 1, "SCOM_GEBURTSTAG"),
        Target(1, 99, "SCOM_GEBURTSTAG"),
        Target(1, 1, "SCOM_NICHTS"),
        Target(1, 1),
    ]
    for target in wrong:
        assert web.get(f"/a/{make(Purpose.ANONYMOUS, target)}").status_code == 404
    assert counted(database) == {("CLICKED", 1): 2}


@pytest.mark.parametrize("size", [8_000, 60_000, 100_000, 1_000_000])
@pytest.mark.parametrize("purpose", [Purpose.OPEN, Purpose.CLICK, Purpose.UNSUBSCRIBE])
def test_enormous_addresses(web: httpx.Client, sent: Any, purpose: Purpose, size: int) -> None:
    """Up to 64 KiB whatever a mail program appends is passed over; from there on it is refused, not gathered."""
    path = link(purpose, sent(), 1 if purpose is Purpose.CLICK else 0)
    answers = []
    for address in (f"{path}?q={'q' * size}", f"/{purpose}/{'a' * size}"):
        try:
            answers.append(raw(web, address))
        except ConnectionError:  # hung up while we were still sending
            answers.append(400)
    good = 302 if purpose is Purpose.CLICK else 200
    assert answers == ([good, 404] if size < 65_536 else [400, 400])
    assert web.get("/health").status_code == 200


@pytest.mark.parametrize(("headers", "status"), [(30, 200), (100, 400), (1000, 400)])
def test_enormous_headers(web: httpx.Client, sent: Any, headers: int, status: int) -> None:
    """Each of a kilobyte: together they end at 64 KiB, too."""
    try:
        answer = raw(web, link(Purpose.OPEN, sent()), f"X: {'x' * 1020}\r\n" * headers)
    except ConnectionError:  # hung up while we were still sending
        answer = 400
    assert answer == status
    assert web.get("/health").status_code == 200


@pytest.mark.parametrize(
    "begun",
    [
        "GET /health HTTP/1.1\r\nX: ",
        "GET /health HTTP/1.1\r\n",
        "POST /u/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    ],
)
def test_a_head_that_never_ends(web: httpx.Client, begun: str) -> None:
    """The parser gathers it all: it must be cut off, not waited for."""
    with socket.create_connection((web.base_url.host, web.base_url.port or 80), timeout=30) as line:
        line.sendall(begun.encode())
        sent = _until_cut_off(line)
    assert sent < 20_000_000, "what the sockets hold, and no more"
    assert web.get("/health").status_code == 200


def _until_cut_off(line: socket.socket) -> int:
    """How many bytes of rubbish are taken before the other side hangs up; it does before 50 MB."""
    sent = 0
    with suppress(ConnectionError):
        while sent < 50_000_000:
            sent += line.send(b"x" * 65_536)
    return sent


def raw(web: httpx.Client, address: str, headers: str = "") -> int:
    """The status of a GET of an address, or with headers, that httpx would not send."""
    line = socket.create_connection((web.base_url.host, web.base_url.port or 80), timeout=30)
    with line:
        line.sendall(f"GET {address} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n".encode())
        return int(line.makefile("rb").readline().split()[1])


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods(web: httpx.Client, sent: Any, events: Any, method: str) -> None:
    answer = web.request(method, link(Purpose.UNSUBSCRIBE, sent()))
    assert answer.status_code == 405
    assert events() == []


def test_every_answer_keeps_to_itself(web: httpx.Client, sent: Any) -> None:
    message = sent()
    answers = [
        web.get(link(Purpose.OPEN, message)),
        web.get(link(Purpose.CLICK, message, 1)),
        web.get(link(Purpose.UNSUBSCRIBE, message)),
        web.post(link(Purpose.UNSUBSCRIBE, message)),
        web.get("/u/forged"),
        web.get("/nowhere"),
        web.get("/health"),
    ]
    for answer in answers:
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "set-cookie" not in answer.headers


def test_the_pixel_needs_no_database(
    web: httpx.Client, sent: Any, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = link(Purpose.OPEN, sent())
    with monkeypatch.context() as away:
        away.setenv("REKU_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")
        settings.cache_clear()
        assert web.get(path).content == PIXEL
    settings.cache_clear()
    assert [event[1] for event in events()] == ["OPENED"]


def test_what_cannot_be_taken_in_waits_and_is_told(
    bank: Path, sent: Any, events: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = TrackerState()
    tracker.journal.note("OPENED", sent(), agent=BROWSER)
    with monkeypatch.context() as away:
        away.setenv("REKU_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")
        settings.cache_clear()
        for _ in range(3):
            background_work.take_in(tracker)
    assert "the database refused" in tracker.behind
    assert caplog.text.count("wait in the journal") == 1, "told once, not every second"
    settings.cache_clear()
    background_work.take_in(tracker)
    assert tracker.behind == ""
    assert [event[1] for event in events()] == ["OPENED"]
    tracker.close()


def test_a_link_followed_before_needs_no_database(
    web: httpx.Client, sent: Any, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = link(Purpose.CLICK, sent(), 1)
    web.head(path)
    with monkeypatch.context() as away:
        away.setenv("REKU_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")
        settings.cache_clear()
        assert web.get(path).status_code == 302
    settings.cache_clear()
    assert [event[1] for event in events()] == ["CLICKED"]


@pytest.mark.parametrize("purpose", [Purpose.CLICK, Purpose.UNSUBSCRIBE])
def test_database_away_is_never_a_false_done(
    web: httpx.Client, sent: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, purpose: Purpose
) -> None:
    path = link(purpose, sent(), 1 if purpose is Purpose.CLICK else 0)
    monkeypatch.setenv("REKU_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    settings.cache_clear()
    answer = web.request("POST" if purpose is Purpose.UNSUBSCRIBE else "GET", path)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert ("noch nicht abgemeldet" in answer.text) == (purpose is Purpose.UNSUBSCRIBE)
    assert "Sie sind abgemeldet" not in answer.text
    assert "503" in caplog.text


def test_own_process_keeps_no_address_and_writes_no_access_log(
    sent: Any, events: Any, database: sa.Engine, tmp_path: Path
) -> None:
    message = sent()
    log = tmp_path / "log"
    with log.open("wb") as sink:
        tracker = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "reku.responses.tracker:app", "--port", "0"],
            stdout=sink,
            stderr=sink,
            env=os.environ | {"REKU_INSTANCE": "of a test"},
        )
        try:
            deadline = time.monotonic() + 60
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                assert tracker.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert httpx.get(f"{found[0]}/health").json()["instance"] == "of a test"
            path = link(Purpose.UNSUBSCRIBE, message)
            assert httpx.post(found[0] + path, data=ONE_CLICK).status_code == 200
            tracker.kill()  # what was answered is on record
        finally:
            tracker.kill()
            tracker.wait()
    assert [event[1] for event in events()] == ["UNSUBSCRIBED"]
    assert path not in log.read_text()
    assert '"POST' not in log.read_text()
