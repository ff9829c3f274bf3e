"""`reku messages`, `why`, `funnel`, `feedback`: the ledger and what was reported, without anybody's data."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.channels.email.media.links import SharedLinks, links_for
from reku.store.events import Event, record
from reku.store.kinds import EventKind
from reku.store.states import DeliveryState, MessageState
from reku.store.tables import audit, messages, past_messages, rejects, responses
from reku_testing import banks, world
from reku_testing.by_blz import assign, export
from tests.cli.conftest import Reku

NOW = datetime(2026, 11, 22, 21, tzinfo=UTC)
BEGUN = NOW - timedelta(hours=12)
OTHER = "99950002"


@pytest.fixture(autouse=True)
def _world(clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock_at(NOW)
    banks.configure(monkeypatch, tmp_path / "include")


@pytest.fixture
def ledger(database: sa.Engine) -> int:
    """A delivery of three messages: sent with an open and a click, in doubt, withheld; and a rejected row. Its id."""
    delivery = world.delivery(database, world.order(database), state=DeliveryState.LOADED)
    rows = world.rows(database, delivery, [world.reku_fields(number) for number in (1, 2, 3)])
    handed = {"medium": "SCOM_GEBURTSTAG", "begun_at": BEGUN, "attempts": 1, "message_id": "<1.x@bank.example>"}
    sent = world.message(database, rows[0], state=MessageState.SENT, ended_at=BEGUN, answer="250 2.0.0", **handed)
    world.message(database, rows[1], state=MessageState.IN_DOUBT, **handed)
    world.message(database, rows[2], state=MessageState.WITHHELD, reason="ABGEMELDET", ended_at=BEGUN)
    with database.begin() as connection:
        record(
            connection,
            [
                Event(sent, EventKind.SENT, BEGUN),
                Event(sent, EventKind.OPENED, BEGUN + timedelta(hours=1)),
                Event(sent, EventKind.CLICKED, BEGUN + timedelta(hours=2), link_number=1),
            ],
        )
        connection.execute(
            sa.insert(rejects).values(
                institute=world.BLZ, delivery_id=delivery, line=9, reference="BAD-1", field="EMail", code="ADRESSE"
            )
        )
    return delivery


def _asked(reku: Reku, *arguments: object) -> Any:
    done = reku(*arguments, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_messages_are_listed_and_filtered(reku: Reku, ledger: int) -> None:
    assert [row["state"] for row in _asked(reku, "messages", "list")] == ["WITHHELD", "IN_DOUBT", "SENT"]
    assert [row["state"] for row in _asked(reku, "messages", "list", "--limit", 1)] == ["WITHHELD"]
    (found,) = _asked(reku, "messages", "list", "--state", "in_doubt")
    assert found["reference"] == "R0004711-000017-00002"
    assert _asked(reku, "messages", "list", "--order", "R0000002") == []
    assert _asked(reku, "messages", "list", "--institute", OTHER) == []


@pytest.mark.parametrize(
    ("flag", "state", "kind"),
    [("--sent", MessageState.SENT, EventKind.SENT), ("--not-sent", MessageState.WITHHELD, EventKind.NOT_SENT)],
)
def test_a_message_in_doubt_is_resolved_once(
    reku: Reku, database: sa.Engine, ledger: int, flag: str, state: MessageState, kind: EventKind
) -> None:
    (found,) = _asked(reku, "messages", "in-doubt")
    assert (found["message_id"], found["delivery"]) == ("<1.x@bank.example>", ledger)
    assert "<1.x@bank.example>" in reku("messages", "in-doubt").stdout
    told = ("messages", "resolve", world.BLZ, found["reference"], flag, "--note", "log of the relay")
    assert reku(*told).exit_code == 0
    with database.connect() as connection:
        row = connection.execute(sa.select(messages).where(messages.c.reference == found["reference"])).one()
        kinds = connection.scalars(sa.select(responses.c.kind).where(responses.c.message_id == row.id)).all()
        noted = connection.execute(sa.select(audit)).one()
    assert (row.state, kinds) == (state, [kind])
    assert (noted.subject, noted.note) == (found["reference"], "log of the relay")
    again = reku(*told)
    assert (again.exit_code, "no message in doubt" in again.stderr) == (1, True)
    assert reku("messages", "in-doubt").stdout == "No messages in doubt.\n"


def test_the_bound_of_an_old_key_lies_behind_all_messages(reku: Reku, database: sa.Engine, ledger: int) -> None:
    with database.begin() as connection:
        newest = connection.scalar(sa.select(sa.func.max(messages.c.id)))
        of = messages.c
        gone = sa.select(sa.literal(newest + 5), of.institute, of.order_id, of.recipient_key).where(of.id == newest)
        columns = ["id", "institute", "order_id", "recipient_key"]
        connection.execute(sa.insert(past_messages).from_select(columns, gone))
    assert reku("messages", "key-bound").stdout.strip() == f"@{newest + 6}"
    assert _asked(reku, "messages", "key-bound") == {"bound": newest + 6}


def test_a_referenz_in_doubt_in_two_deliveries_needs_the_delivery(reku: Reku, database: sa.Engine, ledger: int) -> None:
    second = world.delivery(database, world.order(database, "R0000002"), 18, state=DeliveryState.LOADED)
    (row,) = world.rows(database, second, [world.reku_fields(2)])
    world.message(database, row, state=MessageState.IN_DOUBT, begun_at=BEGUN)
    told = ("messages", "resolve", world.BLZ, "R0004711-000017-00002", "--sent", "--note", "log")
    done = reku(*told)
    assert done.exit_code == 1
    assert f"of the deliveries {ledger}, {second}" in done.stderr
    assert reku(*told, "--delivery", second).exit_code == 0
    assert [row["delivery"] for row in _asked(reku, "messages", "in-doubt")] == [ledger]


def test_without_an_outcome_nothing_is_resolved(reku: Reku) -> None:
    done = reku("messages", "resolve", world.BLZ, "R0004711-000017-00002", "--note", "log")
    assert done.exit_code == 2
    assert "say --sent or --not-sent" in done.stderr


@pytest.mark.parametrize(
    ("flag", "state", "kind", "reason"),
    [("--sent", "SENT", "SENT", ""), ("--not-sent", "WITHHELD", "NOT_SENT", "UNGEKLAERT")],
)
def test_all_of_a_delivery_are_resolved_at_once(
    reku: Reku, database: sa.Engine, ledger: int, flag: str, state: str, kind: str, reason: str
) -> None:
    """As after the loss of a machine with its journals."""
    other = world.delivery(database, world.order(database, "R0000002"), 18, state=DeliveryState.LOADED)
    people = [world.reku_fields(number, 18, "R0000002") for number in range(1, 6)]
    states = [MessageState.IN_DOUBT] * 3 + [MessageState.CLAIMED, MessageState.OPEN]
    for row, was in zip(world.rows(database, other, people), states, strict=True):
        world.message(database, row, state=was, begun_at=BEGUN)
    told = ("messages", "resolve", world.BLZ, "--delivery", other, "--all", flag, "--note", "relay log of the 22nd")
    done = reku(*told)
    outcome = flag.strip("-").replace("-", " ")
    assert (done.exit_code, done.stdout) == (0, f"3 messages of delivery {other} are closed as {outcome}.\n")
    with database.connect() as connection:
        found = connection.execute(sa.select(messages).where(messages.c.delivery_id == other).order_by(messages.c.id))
        rows = found.all()
        events = connection.execute(
            sa.select(responses.c.kind, responses.c.at, responses.c.reason).where(
                responses.c.message_id.in_([row.id for row in rows])
            )
        ).all()
        noted = connection.execute(sa.select(audit).order_by(audit.c.id)).all()
    assert [row.state for row in rows] == [state] * 3 + ["CLAIMED", "OPEN"]
    moment = BEGUN if flag == "--sent" else rows[0].ended_at
    assert [tuple(event) for event in events] == [(kind, moment, reason)] * 3
    assert {row.ended_at for row in rows[:3]} == {moment}
    assert moment >= BEGUN
    assert [(row.subject, row.action, row.note) for row in noted] == [
        (f"R0000002-000018-0000{number}", f"resolve as {outcome}", "relay log of the 22nd") for number in (1, 2, 3)
    ]
    assert [row["delivery"] for row in _asked(reku, "messages", "in-doubt")] == [ledger]  # the other one's is left
    again = reku(*told)
    assert (again.exit_code, again.stdout) == (1, "")
    assert f"{world.BLZ} has no message in doubt in a delivery {other}." in again.stderr
    foreign = reku("messages", "resolve", OTHER, "--delivery", ledger, "--all", flag, "--note", "log")
    assert (foreign.exit_code, "no message in doubt" in foreign.stderr) == (1, True)


@pytest.mark.parametrize(
    ("policy", "values", "settled_by"),
    [
        ("do_not_resend", {}, "person"),
        ("resend", {}, "dispatch"),
        ("resend", {"attempts": 5}, "person"),
        ("resend", {"last_day": NOW.date() - timedelta(days=1)}, "person"),
        (None, {}, "person"),
    ],
)
def test_in_doubt_says_who_settles_it_and_what_to_look_for(
    reku: Reku,
    database: sa.Engine,
    ledger: int,
    tmp_path: Path,
    policy: str | None,
    values: dict[str, Any],
    settled_by: str,
) -> None:
    banks.policy_for_doubts(tmp_path / "include", "MCAG002", policy)
    with database.begin() as connection:
        in_doubt = sa.update(messages).where(messages.c.state == MessageState.IN_DOUBT).returning(messages.c.id)
        message = connection.execute(in_doubt.values(message_id="", **values)).scalar_one()
    (found,) = _asked(reku, "messages", "in-doubt")
    assert (found["order"], found["delivery"], found["message_id"]) == (world.ORDER, ledger, "")
    assert (found["policy"], found["settled_by"]) == (policy, settled_by)
    assert links_for(message, SharedLinks(1, "SCOM_GEBURTSTAG"), tracking=False).return_path.startswith(
        found["return_path"]
    )
    assert settled_by in reku("messages", "in-doubt").stdout


def test_why_of_a_sent_row(reku: Reku, database: sa.Engine, ledger: int) -> None:
    file = export(database, world.BLZ)
    assert file is not None
    (fate,) = _asked(reku, "why", "R0004711-000017-00001")
    assert (fate["gate"], fate["line"], fate["state"], fate["answer"]) == ("accepted", 3, "SENT", "250 2.0.0")
    assert fate["file_name"] == "reku_99950001_R0004711_000017_20261122011500.csv"
    assert [(event["kind"], event["link_number"], event["response_file"]) for event in fate["events"]] == [
        ("SENT", None, 1),
        ("OPENED", None, 1),
        ("CLICKED", 1, 1),
    ]
    assert [step["what"] for step in fate["life"]][-3:] == ["opened", "clicked", "response file written"]
    assert datetime.fromisoformat(fate["life"][-1]["at"]) >= NOW
    shown = reku("why", "R0004711-000017-00001").stdout
    assert "250 2.0.0" in shown
    assert file.file_name in shown
    life = shown.partition("\nlife:")[2]
    places = [
        life.index(what) for what in ("received", "accepted at the gate", "due", "handed over", "opened", "clicked")
    ]
    assert places == sorted(places)
    assert "events" not in shown


def test_why_of_rows_that_were_not_sent(reku: Reku, ledger: int) -> None:
    (withheld,) = _asked(reku, "why", "R0004711-000017-00003")
    assert (withheld["state"], withheld["reason"], withheld["events"]) == ("WITHHELD", "ABGEMELDET", [])
    (rejected,) = _asked(reku, "why", "BAD-1", "--institute", world.BLZ)
    assert (rejected["gate"], rejected["line"], rejected["field"], rejected["code"]) == (
        *("rejected", 9, "EMail"),
        "ADRESSE",
    )


def test_why_of_a_message_in_doubt(reku: Reku, ledger: int) -> None:
    (fate,) = _asked(reku, "why", "R0004711-000017-00002")
    assert (fate["state"], fate["attempts"], fate["message_id"]) == ("IN_DOUBT", 1, "<1.x@bank.example>")
    assert fate["next"].startswith("never sent again by itself: look it up in the relay's log")
    assert fate["next"] in reku("why", "R0004711-000017-00002").stdout
    assert "message" not in fate, "an id of ours that no command takes"


def test_why_of_a_message_that_was_put_off(reku: Reku, database: sa.Engine, ledger: int) -> None:
    retry_at = NOW + timedelta(minutes=5)
    row = world.row(database, ledger, world.reku_fields(4), 6)
    world.message(database, row, attempts=2, answer="451 4.7.1", retry_at=retry_at, begun_at=BEGUN)
    (fate,) = _asked(reku, "why", "R0004711-000017-00004")
    assert (fate["state"], fate["attempts"], fate["answer"]) == ("OPEN", 2, "451 4.7.1")
    assert datetime.fromisoformat(fate["retry_at"]) == retry_at
    assert "not to be tried before 22.11.2026 22:05:00" in fate["next"]
    (sent,) = _asked(reku, "why", "R0004711-000017-00001")
    assert (sent["retry_at"], sent["next"]) == (None, "")


def test_why_of_a_row_that_nobody_has(reku: Reku, ledger: int) -> None:
    for arguments in (("X-1",), ("BAD-1", "--institute", OTHER)):
        done = reku("why", *arguments)
        assert (done.exit_code, done.stdout) == (1, "")
        assert arguments[0] in done.stderr


def test_funnel_adds_up_or_exits_with_one(reku: Reku, database: sa.Engine, ledger: int) -> None:
    (row,) = _asked(reku, "funnel")
    assert (row["rows"], row["accepted"], row["sent"], row["in_doubt"], row["withheld"], row["adds_up"]) == (
        *(3, 3, 1, 1),
        {"ABGEMELDET": 1},
        True,
    )
    assert _asked(reku, "funnel", "--institute", OTHER) == []
    assert _asked(reku, "funnel", "--order", "R0000002") == []
    assert "1 in doubt" in reku("funnel").stdout
    with database.begin() as connection:
        connection.execute(sa.delete(messages).where(messages.c.state == MessageState.IN_DOUBT))
    done = reku("funnel")
    assert done.exit_code == 1
    assert "NO" in done.stdout


def test_funnel_by_period(reku: Reku, ledger: int) -> None:
    (row,) = _asked(reku, "funnel", "--by", "period")
    assert (row["period"], row["rows"], row["opened"]) == ("2026-11-22", 3, 1)
    assert "period" not in _asked(reku, "funnel")[0]
    shown = reku("funnel", "--by", "period").stdout
    assert "22.11.26" in shown
    wrong = reku("funnel", "--by", "day")
    assert (wrong.exit_code, "'order', 'period'" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(("name", "begins"), [("über sicht.svg", b"<?xml"), ("plot.PNG", b"\x89PNG")])
def test_funnel_as_a_plot(reku: Reku, ledger: int, tmp_path: Path, name: str, begins: bytes) -> None:
    assert len(_asked(reku, "funnel", "--plot", tmp_path / name)) == 1
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_funnel_as_a_plot_of_nothing(reku: Reku, ledger: int, tmp_path: Path) -> None:
    done = reku("funnel", "--institute", OTHER, "--plot", tmp_path / "plot.svg")
    assert (done.exit_code, done.stdout) == (0, "No deliveries.\n")
    assert "nothing delivered" in (tmp_path / "plot.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["plot.pdf", "plot", ".svg", "plot.svg.gz"])
def test_funnel_draws_no_other_kind_of_file(reku: Reku, ledger: int, tmp_path: Path, name: str) -> None:
    done = reku("funnel", "--plot", tmp_path / name)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "must end in .svg or .png" in done.stderr.replace("\n", " ")
    assert not (tmp_path / name).exists()


def test_funnel_into_a_folder_that_is_not_there(reku: Reku, ledger: int, tmp_path: Path) -> None:
    done = reku("funnel", "--plot", tmp_path / "none" / "plot.svg")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_response_files_are_listed_shown_and_made_again(
    reku: Reku, database: sa.Engine, ledger: int, reku_settings: Path, tmp_path: Path
) -> None:
    file = export(database, world.BLZ)
    assert file is not None
    (listed,) = _asked(reku, "feedback", "list")
    assert (listed["number"], listed["rows"], listed["file_name"]) == (1, 3, file.file_name)
    shown = _asked(reku, "feedback", "show", 1, "--institute", world.BLZ)
    assert {event["kind"]: event["count"] for event in shown["events"]} == {"SENT": 1, "OPENED": 1, "CLICKED": 1}
    copy = tmp_path / "copy.csv"
    copy.touch(0o644)
    again = _asked(reku, "feedback", "rebuild", 1, "--institute", world.BLZ, "--out", copy)
    written = (reku_settings / file.path).read_bytes()
    assert copy.read_bytes() == written
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert (again["bytes"], again["sha256"]) == (len(written), hashlib.sha256(written).hexdigest())
    for command in ("show", "rebuild"):
        missing = reku("feedback", command, 2, "--institute", world.BLZ)
        assert (missing.exit_code, "no response file 000002" in missing.stderr) == (1, True)


def test_a_response_file_that_the_receiver_has_lost_is_sent_again_on_record(
    reku: Reku, database: sa.Engine, ledger: int, reku_settings: Path
) -> None:
    file = export(database, world.BLZ)
    assert file is not None
    written = (reku_settings / file.path).read_bytes()
    (reku_settings / file.path).unlink()
    arguments = ("feedback", "rebuild", 1, "--institute", world.BLZ)
    assert _asked(reku, *arguments)["put_to"] is None
    assert not (reku_settings / file.path).exists()
    assert _asked(reku, *arguments, "--again")["put_to"] == file.path
    assert (reku_settings / file.path).read_bytes() == written
    assert f"put to {file.path}" in reku(*arguments, "--again").stdout
    with database.connect() as connection:
        kept = connection.execute(sa.select(audit.c.action, audit.c.subject, audit.c.institute)).all()
    assert kept == [("send response file again", f"feedback_files:{file.id}", world.BLZ)] * 2
    assert _asked(reku, "feedback", "show", 1, "--institute", world.BLZ)["written_at"] is not None


@pytest.mark.parametrize("command", [("show", 1), ("rebuild", 1), ("rebuild", 1, "--again")])
@pytest.mark.parametrize(
    ("institute", "told", "code"),
    [(world.BLZ, "no response file 000001", 1), ("99950009", "99950009", 1), ("9995", "a BLZ has eight digits", 2)],
)
def test_a_response_file_that_is_not_there(
    reku: Reku, database: sa.Engine, command: tuple[object, ...], institute: str, told: str, code: int
) -> None:
    done = reku("feedback", *command, "--institute", institute)
    assert (done.exit_code, told in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_response_file_that_was_never_written_is_not_sent_by_hand(
    reku: Reku, database: sa.Engine, ledger: int, reku_settings: Path
) -> None:
    assign(database, world.BLZ)
    done = reku("feedback", "rebuild", 1, "--institute", world.BLZ, "--again")
    assert (done.exit_code, "was never written" in done.stderr) == (1, True)
    assert not (reku_settings / world.BLZ / "ausgang").exists()


def test_no_command_shows_anybodys_data(reku: Reku, database: sa.Engine, ledger: int) -> None:
    export(database, world.BLZ)
    for command in (
        ("orders",),
        ("lists",),
        ("files", "list"),
        ("deliveries", "list"),
        ("deliveries", "show", ledger),
        ("messages", "list"),
        ("messages", "in-doubt"),
        ("why", "R0004711-000017-00001"),
        ("why", "BAD-1"),
        ("funnel",),
        ("funnel", "--by", "period"),
        ("feedback", "list"),
        ("feedback", "show", 1, "--institute", world.BLZ),
        ("feedback", "rebuild", 1, "--institute", world.BLZ),
    ):
        for form in ((), ("--json",)):
            done = reku(*command, *form)
            assert done.exit_code == 0, command
            assert done.stdout.strip()
            for part in ("kunde.example", "Jördis", "Beispiel-Müßig", "0000000001", "J\\u00f6rdis"):
                assert part not in done.output, command
