"""`reku suppressions`: only a person bars and lifts by hand, it holds at once, and nobody's address stands anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.contact.decide import reasons
from reku.contact.policy import Policy
from reku.contact.reasons import Reason
from reku.store.events import Event, record
from reku.store.kinds import EventKind, SuppressionKind
from reku.store.states import MessageState
from reku.store.tables import audit, responses, suppressions
from reku.subscribers.global_suppressions import bar_here_too
from reku_testing import world
from tests.cli.conftest import Reku

DAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
ADDRESS = "person1@kunde.example"
NOTE = ("--note", "asked by phone")


@pytest.fixture
def message(database: sa.Engine, clock_at: Callable[[datetime], None]) -> int:
    """An open message to `ADDRESS`."""
    clock_at(NOW)
    delivery = world.delivery(database, world.order(database))
    return world.message(database, world.row(database, delivery, world.reku_fields()))


def _against(engine: sa.Engine, message: int) -> tuple[Reason, ...]:
    with engine.connect() as connection:
        return reasons(connection, Policy(world.BLZ), [message], DAY).get(message, ())


@pytest.mark.parametrize("bank", [world.BLZ, "everywhere"])
@pytest.mark.parametrize("entry", ["kunde.example", "@kunde.example", "KUNDE.example"])
def test_a_domain_is_barred_and_opened(reku: Reku, database: sa.Engine, message: int, bank: str, entry: str) -> None:
    assert reku("suppressions", "bar", bank, *NOTE, typed=entry).exit_code == 0
    assert _against(database, message) == (Reason.BLACKLIST,)
    assert "DOMAIN" in reku("suppressions", "show", world.BLZ, typed=ADDRESS).output
    refused = reku("suppressions", "lift", world.BLZ, *NOTE, typed=ADDRESS)
    assert refused.exit_code == 1
    assert "whole domain" in refused.output
    assert reku("suppressions", "open", bank, entry, *NOTE).exit_code == 0
    assert _against(database, message) == ()
    assert reku("suppressions", "open", bank, entry, *NOTE).exit_code == 1


def test_an_address_is_barred_and_lifted(reku: Reku, database: sa.Engine, message: int) -> None:
    assert reku("suppressions", "bar", world.BLZ, *NOTE, typed=ADDRESS.upper()).exit_code == 0
    assert "already" in reku("suppressions", "bar", world.BLZ, *NOTE, typed=ADDRESS).output
    assert _against(database, message) == (Reason.BLACKLIST,)
    (counted,) = json.loads(reku("suppressions", "counts", "--json").output)
    assert counted == {"institute": world.BLZ, "kind": "BLACKLISTED", "source": "SUPPORT", "entries": 1}
    assert reku("suppressions", "lift", world.BLZ, *NOTE, typed=ADDRESS).exit_code == 0
    assert _against(database, message) == ()
    nothing = reku("suppressions", "lift", world.BLZ, *NOTE, typed=ADDRESS)
    assert (nothing.exit_code, "Nothing bars" in nothing.output) == (1, True)
    with database.connect() as connection:
        entries = connection.execute(sa.select(audit).order_by(audit.c.id)).all()
    assert [row.action for row in entries] == ["blacklist", "blacklist", "lift"]
    assert all(ADDRESS not in str(row).lower() and row.note == "asked by phone" and row.actor for row in entries)


def test_what_is_barred_everywhere_is_lifted_everywhere(reku: Reku, database: sa.Engine, message: int) -> None:
    """Lifted at one bank only, the next delivery would bar it there again."""
    assert reku("suppressions", "bar", "everywhere", *NOTE, typed=ADDRESS).exit_code == 0
    with database.begin() as connection:
        bar_here_too(connection, world.BLZ, [ADDRESS])
    assert _against(database, message) == (Reason.BLACKLIST,)
    refused = reku("suppressions", "lift", world.BLZ, *NOTE, typed=ADDRESS)
    assert (refused.exit_code, "lift everywhere" in refused.output) == (1, True)
    assert reku("suppressions", "lift", "everywhere", *NOTE, typed=ADDRESS).exit_code == 0
    with database.begin() as connection:
        assert bar_here_too(connection, world.BLZ, [ADDRESS]) == 0
    assert _against(database, message) == ()
    assert reku("suppressions", "lift", "everywhere", *NOTE, typed=ADDRESS).exit_code == 1


@pytest.mark.parametrize("order", [None, world.ORDER])
def test_somebody_who_phones_is_unsubscribed_at_once_and_reported(
    reku: Reku, database: sa.Engine, message: int, order: str | None
) -> None:
    sent = _sent(database, NOW - timedelta(days=30))
    options = () if order is None else ("--order", order)
    said = reku("suppressions", "unsubscribe", world.BLZ, *options, *NOTE, typed=ADDRESS)
    assert said.exit_code == 0, said.output
    assert _against(database, message) == (Reason.ABGEMELDET,)
    with database.connect() as connection:
        event = connection.execute(sa.select(responses)).one()
    assert (event.message_id, event.kind, event.reason) == (sent, EventKind.UNSUBSCRIBED, "SUPPORT")
    assert event.scope == ("INSTITUTE" if order is None else "ORDER")


def test_who_unsubscribed_under_an_earlier_address_is_found_by_number(
    reku: Reku, database: sa.Engine, message: int
) -> None:
    with database.begin() as connection:
        connection.execute(
            sa.insert(suppressions).values(
                institute=world.BLZ,
                kind=SuppressionKind.UNSUBSCRIBED,
                recipient_key="f" * 64,
                person_number=f"{1:010d}",
                source="LINK",
                since=NOW,
            )
        )
    assert _against(database, message) == (Reason.ABGEMELDET,)
    person = ("--person", f"{1:010d}")
    assert "UNSUBSCRIBED" in reku("suppressions", "show", world.BLZ, *person).output
    assert reku("suppressions", "lift", world.BLZ, *person, *NOTE).exit_code == 0
    assert _against(database, message) == ()
    assert reku("suppressions", "lift", world.BLZ, *person, *NOTE).exit_code == 1


def test_unsubscribing_needs_a_known_order(reku: Reku, message: int) -> None:
    said = reku("suppressions", "unsubscribe", world.BLZ, "--order", "R0000001", *NOTE, typed=ADDRESS)
    assert (said.exit_code, "has no order R0000001" in said.output) == (1, True)


@pytest.mark.parametrize("by_person", [False, True])
def test_a_complaint_that_was_wrong_is_lifted_with_its_reason(
    reku: Reku, database: sa.Engine, message: int, by_person: bool
) -> None:
    reku("suppressions", "bar", world.BLZ, *NOTE, typed=ADDRESS)
    person = world.reku_fields()["Personennummer"]
    with database.begin() as connection:
        complained = {"kind": SuppressionKind.COMPLAINED, "source": "BESCHWERDE", "person_number": person}
        connection.execute(sa.update(suppressions).values(complained))
    assert _against(database, message) == (Reason.BESCHWERDELISTE,)
    who = ("--person", person) if by_person else ()
    assert "COMPLAINED" in reku("suppressions", "show", world.BLZ, *who, typed=ADDRESS).output
    assert reku("suppressions", "lift", world.BLZ, *who, typed=ADDRESS).exit_code == 2  # without a reason
    said = reku("suppressions", "lift", world.BLZ, *who, "--note", "forged, see ticket 17", "--json", typed=ADDRESS)
    assert [one["kind"] for one in json.loads(said.output)] == ["COMPLAINED"]
    assert _against(database, message) == ()
    with database.connect() as connection:
        kept = connection.execute(sa.select(audit.c.action, audit.c.subject, audit.c.note).order_by(audit.c.id)).all()
    assert kept[-1] == ("lift", "COMPLAINED of a person" if by_person else "COMPLAINED", "forged, see ticket 17")


def test_only_a_person_lets_a_retained_address_be_written_to_again(
    reku: Reku, database: sa.Engine, message: int
) -> None:
    """docs/domain.md, "Hard bounces in a row": the series begins anew; the next hard bounce is the first again."""
    for days in (40, 30, 20):
        _bounce(database, _sent(database, NOW - timedelta(days=days)))
    assert _against(database, message) == (Reason.ZURUECKGEHALTEN,)
    (counted,) = json.loads(reku("suppressions", "counts", "--institute", world.BLZ, "--json").output)
    assert counted == {"institute": world.BLZ, "kind": "RETAINED", "source": "BOUNCE", "entries": 1}
    assert "RETAINED" in reku("suppressions", "lift", world.BLZ, *NOTE, typed=ADDRESS).output
    assert _against(database, message) == ()


def test_a_list_is_imported_whole(reku: Reku, database: sa.Engine, message: int, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(
        "\ufeff# from the old system\r\n\r\nPerson1@Kunde.Example\r\nmüller@müßig.example\n@junk.example\n".encode()
    )
    done = reku("suppressions", "import", world.BLZ, file, *NOTE, "--json")
    assert json.loads(done.output) == {"read": 3, "barred": 3}
    assert _against(database, message) == (Reason.BLACKLIST,)
    again = reku("suppressions", "import", world.BLZ, file, *NOTE, "--json")
    assert json.loads(again.output) == {"read": 3, "barred": 0}


def test_a_list_may_be_longer_than_a_statement_has_parameters(
    reku: Reku, database: sa.Engine, message: int, tmp_path: Path
) -> None:
    file = tmp_path / "list.txt"
    hosts = [f"host{number}.example\n" for number in range(25_000)]
    file.write_text("".join([*hosts, f"{ADDRESS}\n"]))
    done = reku("suppressions", "import", world.BLZ, file, *NOTE, "--json")
    assert json.loads(done.output) == {"read": 25_001, "barred": 25_001}
    assert _against(database, message) == (Reason.BLACKLIST,)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"person1@kunde.example\nperson 1\n", "line 2:"),
        (b"person1@kunde.example\n\xff\xfe\n", "line 2:"),
        (b"a@b@c\nperson1@kunde.example\n", "line 1:"),
        (b"junk! " * 2_000_000, "line 1:"),
        (b"no address\n" * 1_000_000, "and perhaps more"),
        (b"person1@kunde.example\n" + b"x" * 1_000_000 + b"\nperson2@kunde.example\n", "line 2:"),
    ],
)
def test_a_list_with_junk_bars_nobody(
    reku: Reku, database: sa.Engine, message: int, tmp_path: Path, content: bytes, named: str
) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(content)
    said = reku("suppressions", "import", world.BLZ, file, *NOTE)
    assert (said.exit_code, named in said.output) == (1, True), said.output
    assert "kunde.example\n" not in said.output.replace("name@kunde.example or kunde.example", "")
    assert len(said.output) < 500
    assert _against(database, message) == ()


@pytest.mark.parametrize("typed", ["", "person1", "a b@kunde.example", "@", "person1@"])
@pytest.mark.parametrize("command", ["show", "lift", "unsubscribe", "bar"])
def test_what_is_no_address_is_told_without_repeating_it(reku: Reku, message: int, command: str, typed: str) -> None:
    note = () if command == "show" else NOTE
    said = reku("suppressions", command, world.BLZ, *note, typed=typed)
    if (command, typed) == ("bar", "person1"):
        assert said.exit_code == 0  # a host without a dot may be a domain of one's own
        return
    assert said.exit_code == 1
    assert "no valid mail address" in said.output


def _sent(engine: sa.Engine, at: datetime) -> int:
    """A mail that `ADDRESS` was sent earlier, by another delivery."""
    with engine.connect() as connection:
        order = connection.scalar(sa.text("SELECT id FROM reku.orders"))
        number = connection.scalar(sa.text("SELECT count(*) FROM reku.deliveries"))
    delivery = world.delivery(engine, order, 100 + number)
    fields = world.reku_fields(1, 100 + number, Anlass_Datum=f"{number:02d}.01.2026")
    row = world.row(engine, delivery, fields)
    return world.message(engine, row, state=MessageState.SENT, begun_at=at, ended_at=at)


def _bounce(engine: sa.Engine, message: int) -> None:
    with engine.begin() as connection:
        record(connection, [Event(message, EventKind.BOUNCED_HARD, NOW - timedelta(days=1), "5.1.1")])
