"""The state of the day against a plain model of it, in random worlds; and how its file is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue import institutes
from reku.channels.bap.bap_file import BAP_STATE, KINDS
from reku.channels.bap.channel import SHOWN_CHANNELS
from reku.channels.bap.day_state import prepare_state
from reku.foundation import clock
from reku.foundation.settings import settings
from reku.pickup.file_format import FileStamp, PreparedPerson
from reku.pickup.take import fetch
from reku.privacy.prepared_files import expired
from reku.records.faults import FileRefused
from reku.records.times import parse_date
from reku.store import tables
from reku.store.kinds import PreparedKind
from reku_testing import banks, coop_ledger
from reku_testing.reported import World, rows_of
from reku_testing.steps import allow_any_step
from reku_testing.world import BLZ

DAY = date(2026, 11, 24)
DAYS = 5
STAMP = FileStamp(BLZ, "", 0, 7, datetime(2026, 11, 24, 5, 0, 59, tzinfo=UTC))
ON = {"CLAIMED", "PREPARED", "SENT", "IN_DOUBT"}
OFF = ("WITHHELD", "REJECTED", "UNDELIVERED")
Key = tuple[int, str, str]
"""Person, order, and what the file calls the channel."""


@dataclass
class Message:
    """A message of the model. `told`: a file has said EIN of it."""

    id: int
    person: int
    order: str
    channel: str
    first: date
    last: date
    state: str
    told: bool = False


@dataclass
class Model:
    """What is true, in plain words."""

    messages: list[Message] = field(default_factory=list)
    barred: set[int] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)

    def is_on(self, one: Message) -> bool:
        planned = one.state == "OPEN" and one.channel not in SHOWN_CHANNELS
        return (one.state in ON or planned) and one.person not in self.barred and one.order not in self.ended

    def state(self, day: date) -> dict[Key, tuple[str, date, date]]:
        """What the file of the day tells: EIN or AUS, from and until when."""
        found: dict[Key, tuple[str, date, date]] = {}
        by_key: dict[Key, list[Message]] = {}
        for one in self.messages:
            if one.first <= day <= one.last:
                by_key.setdefault((one.person, one.order, KINDS[one.channel]), []).append(one)
        for key, those in by_key.items():
            on, told = [one for one in those if self.is_on(one)], [one for one in those if one.told]
            for which, action in ((on, "EIN"), (told, "AUS")):
                if which:
                    found[key] = (action, min(one.first for one in which), max(one.last for one in which))
                    break
            for one in on:
                one.told = True
        return found

    def fetched(self, day: date) -> None:
        for one in self.messages:
            if one.channel in SHOWN_CHANNELS and one.state == "PREPARED" and one.first <= day <= one.last:
                one.state = "SENT"

    def drop_out(self) -> None:
        """What waits to be shown to somebody barred, or of an order that has ended, is withheld with the day's file."""
        for one in self.messages:
            if one.channel in SHOWN_CHANNELS and one.state == "PREPARED" and not self.is_on(one):
                one.state = "WITHHELD"

    def end_of(self, day: date) -> None:
        for one in self.messages:
            if one.channel in SHOWN_CHANNELS and one.state == "PREPARED" and one.last <= day:
                one.state = "UNDELIVERED"


@pytest.fixture(autouse=True)
def bank(
    database: sa.Engine, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contact = {"refusal": {"Werbesperre_KZ": ["W"]}, "estate": {"Nachlass_KZ": ["J"]}}
    banks.configure(monkeypatch, tmp_path / "config", core_system="agree21", contact=contact)
    clock_at(clock.at(DAY, 6))


@pytest.mark.parametrize("seed", range(6))
def test_random_worlds_against_the_model(database: sa.Engine, clock_at: Callable[[datetime], None], seed: int) -> None:
    random, model = Random(seed), Model()  # noqa: S311 - it draws a world, no secret
    people = coop_ledger.import_people(database, 8)
    orders = {number: World(database, number, placeholder=f"MF_{number}") for number in ("K2026-001", "K2026-002")}
    for step in range(DAYS):
        day = DAY + timedelta(days=step)
        clock_at(clock.at(day, 6))
        _happen(database, random, model, people, orders, day)
        model.drop_out()
        file = prepare_state(database, institutes()[BLZ], day)
        assert file
        assert prepare_state(database, institutes()[BLZ], day) is None
        expected = model.state(day)
        if random.random() < 0.7:  # else the file is lost
            model.fetched(day)
            assert _told(database, file) == expected
        clock_at(clock.at(day + timedelta(days=1), 0, 30))
        expired(database, clock.now(), settings())
        model.end_of(day)
        of = tables.messages.c
        with database.connect() as connection:
            states = {row.id: row.state for row in connection.execute(sa.select(of.id, of.state))}
        assert states == {one.id: one.state for one in model.messages}


def _happen(
    engine: sa.Engine, random: Random, model: Model, people: Sequence[str], orders: dict[str, World], day: date
) -> None:
    """What comes and ends before the day's file."""
    for number, order in orders.items():
        rows: list[dict[str, Any]] = []
        made: list[Message] = []
        for _ in range(random.randrange(6)):
            person, channel = random.randrange(len(people)), random.choice(list(KINDS))
            state = random.choice(("PREPARED", "SENT") if channel in SHOWN_CHANNELS else ("OPEN", "SENT", "WITHHELD"))
            first, last = day + timedelta(days=random.randrange(2)), day + timedelta(days=1 + random.randrange(4))
            row = {"person_number": people[person], "channel": channel, "state": state, "due_at": clock.at(first, 9)}
            occasion_date = DAY + timedelta(days=len(model.messages) + len(rows))
            rows.append(row | {"last_day": last, "occasion_date": occasion_date})
            made.append(Message(0, person, number, channel, first, last, state))
        for one, id_ in zip(made, _of_own_delivery(engine, order, rows), strict=True):
            one.id = id_
        model.messages += made
    with engine.begin() as connection:
        allow_any_step(connection)
        for one in model.messages:
            if random.random() < 0.2 and one.state in ("OPEN", "SENT"):
                one.state = random.choice(OFF if one.channel in SHOWN_CHANNELS else (*OFF, "IN_DOUBT"))
                own = tables.messages.c.id == one.id
                connection.execute(sa.update(tables.messages).where(own).values(state=one.state))
        if random.random() < 0.5:
            barred = random.randrange(len(people))
            model.barred.add(barred)
            why: dict[str, Any] = random.choice(({"flags": ["W"]}, {"estate": True}, {"missing_since": day}))
            of_person = tables.persons.c.person_number == people[barred]
            connection.execute(sa.update(tables.persons).where(of_person).values(why))
        if random.random() < 0.15:
            ended = random.choice(sorted(orders))
            model.ended.add(ended)
            of_order = tables.orders.c.order_number == ended
            connection.execute(sa.update(tables.orders).where(of_order).values(ended=True))


def _of_own_delivery(engine: sa.Engine, order: World, rows: list[dict[str, Any]]) -> list[int]:
    """Nobody has two messages of one delivery: each row takes a delivery number of its own."""
    with engine.connect() as connection:
        number = connection.scalar(sa.select(sa.func.count()).select_from(tables.messages)) or 0
    own = [row | {"delivery_number": 1000 + number + place} for place, row in enumerate(rows)]
    return coop_ledger.messages(engine, order.delivery, own) if own else []


def _told(engine: sa.Engine, file: int) -> dict[Key, tuple[str, date, date]]:
    taken = fetch(engine, institutes()[BLZ], {PreparedKind.BAP: BAP_STATE}, file, actor="Erika Beispiel")
    lines = rows_of(taken.files[taken.name], "BAP_STEUERUNG")
    found = {
        (int(row["Personennummer"]) - 1, row["Kampagnen_Nr"], row["Kanal"]): (
            row["Aktion"],
            parse_date(row["Anzeige_von"]),
            parse_date(row["Anzeige_bis"]),
        )
        for row in lines
    }
    assert len(found) == len(lines)
    assert {row["Anlassvorlage"] for row in lines} <= {"MF_K2026-001", "MF_K2026-002"}
    return found


VALUES = ("K2026-014", "BERATER", "EIN", "MF_1", "SCOM_X", "23.11.2026", "30.11.2026", "", "N", "3")


def made(*people: tuple[str, Sequence[str]]) -> bytes:
    placed = [PreparedPerson(place, number, values=values) for place, (number, values) in enumerate(people, 1)]
    (file,) = BAP_STATE.files(institutes()[BLZ], STAMP, BAP_STATE.file_name(STAMP), placed)
    assert file.name == f"bap_steuerung_{BLZ}_20261124060059.csv"
    return b"".join(file.blocks)


def test_its_frame() -> None:
    data = made(("0001234567", VALUES), ("0000000002", ()))
    lines = data.decode("cp1252").split("\r\n")
    assert lines[0] == f"V;BAP_STEUERUNG;1;{BLZ};;000007;24.11.2026 06:00:59;MF;AGREE21;T"
    assert lines[2] == "D;0001234567;K2026-014;BERATER;EIN;MF_1;SCOM_X;23.11.2026;30.11.2026;;N;3"
    assert lines[3].startswith("N;1;")  # a place without values stands in the line of another message
    assert data == made(("0001234567", VALUES), ("0000000002", ()))
    assert made().decode("cp1252").split("\r\n")[2].startswith("N;0;")


@pytest.mark.parametrize(
    ("number", "written"),
    [("00;1", b'D;"00;1";K2026'), ('0"1', b'D;"0""1";K2026'), ("Müß", "D;Müß;K2026".encode("cp1252"))],
)
def test_numbers_that_came_as_they_are(number: str, written: bytes) -> None:
    assert written in made((number, VALUES))


@pytest.mark.parametrize("number", ["0\n1", "0\x001", "Łukasz"])
def test_what_the_file_cannot_say_is_refused_without_saying_it(number: str) -> None:
    with pytest.raises(FileRefused) as refused:
        made(("0000000001", VALUES), (number, VALUES))
    assert number not in str(refused.value)
    assert "line 4" in str(refused.value)
