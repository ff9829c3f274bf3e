"""A list after any deliveries in any order is what a plain model in Python makes of the same rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reku.records import contracts
from reku.records.delivered_row import row_reader
from reku.store import tables
from reku.store.bulk import copy_rows
from reku.store.states import DeliveryState
from reku.subscribers import fill
from reku.subscribers.load import load
from reku_testing import banks, world

ERASED = "Titel"
"""The field that the bank of these tests lets an empty value erase."""

LISTED = ("Anrede", "Titel", "Vorname", "Nachname", "Firma", "Briefanrede")
"""What a list keeps of a person: who it is, and how to address the person."""

People = dict[str, tuple[str, dict[str, str]]]
"""Address and fields by person number."""


def _without_reference(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if name != "Referenz"}


@dataclass
class Model:
    """A list as the rules have it, kept in the slowest and plainest way."""

    people: People = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)

    def load(self, number: int, rows: list[dict[str, str]]) -> None:
        for person, row in {row["Personennummer"]: row for row in rows}.items():
            if self.last.get(person, number) > number:
                continue
            self.last[person] = number
            fields = {name: value for name, value in row.items() if name in LISTED}
            if person in self.people:
                told = {name: value for name, value in fields.items() if value or name == ERASED}
                fields = self.people[person][1] | told
            self.people[person] = (row["EMail"], fields)


@pytest.fixture
def order(database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    banks.configure(monkeypatch, tmp_path / "config", overwrite_empty=[ERASED])
    new = world.order(database)
    world.subscriber_list(database, new)
    return new


@st.composite
def _deliveries(draw: st.DrawFn) -> list[tuple[int, list[dict[str, str]]]]:
    """Deliveries with numbers in any order, some of them lower than earlier ones, of two people with few values."""
    numbers = draw(st.lists(st.integers(1, 9), unique=True, min_size=1, max_size=5))
    person = st.fixed_dictionaries(
        {
            "Personennummer": st.sampled_from(["0000000001", "0000000002"]),
            "EMail": st.sampled_from(["a@kunde.example", "b@kunde.example"]),
            "Titel": st.sampled_from(["", "Dr."]),
            "Firma": st.sampled_from(["", "Eins", "Zwei"]),
        },
        optional={"Eigenes_Feld": st.sampled_from(["", "x"])},
    )
    return [(number, draw(st.lists(person, max_size=4))) for number in numbers]


def _delivered(engine: sa.Engine, order: int, number: int, people: list[dict[str, str]]) -> list[dict[str, str]]:
    """Load a delivery of these people; returns its rows."""
    rows = [world.reku_fields(place, number, **person) for place, person in enumerate(people, 1)]
    for row, person in zip(rows, people, strict=True):
        if "Eigenes_Feld" in person:
            row["Eigenes_Feld"] = person["Eigenes_Feld"]
    counts = {"rows": len(rows), "accepted": len(rows), "rejected": 0}
    delivery = world.delivery(engine, order, number, state=DeliveryState.RELEASED, **counts)
    with engine.begin() as connection:
        copy_rows(connection, tables.delivery_rows, _COLUMNS, _values(delivery, rows))
    load(engine, delivery)
    return rows


_LEFT_OUT = ("id", "data_key_id", "sealed")
_COLUMNS = [column.name for column in tables.delivery_rows.columns if column.name not in _LEFT_OUT]


def _values(delivery: int, rows: list[dict[str, str]]) -> Iterator[tuple[Any, ...]]:
    """The rows as the gate would write them, the last first: their lines count, not their ids."""
    for line, row in reversed(list(enumerate(rows, 3))):
        yield (
            world.BLZ,
            delivery,
            line,
            *row_reader(contracts()["REKU"])(row),
            json.dumps(_without_reference(row)),
        )


def _empty(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for table in (tables.subscribers, tables.messages, tables.delivery_rows, tables.deliveries):
            connection.execute(sa.delete(table))


def _list(engine: sa.Engine) -> People:
    with engine.connect() as connection:
        people = connection.execute(sa.select(tables.subscribers))
        return {row.person_number: (row.address, row.fields) for row in people}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(deliveries=_deliveries())
def test_a_list_is_what_the_rules_make_of_its_deliveries(
    database: sa.Engine, order: int, deliveries: list[tuple[int, list[dict[str, str]]]]
) -> None:
    _empty(database)
    model = Model()
    for number, people in deliveries:
        model.load(number, _delivered(database, order, number, people))
        assert _list(database) == model.people, f"after delivery {number}"


def _stored(engine: sa.Engine, person: str = "0000000001") -> sa.Row[Any]:
    with engine.connect() as connection:
        return connection.execute(
            sa.select(tables.subscribers, sa.column("xmin", sa.Text))
            .select_from(tables.subscribers)
            .where(tables.subscribers.c.person_number == person)
        ).one()


def test_nobody_is_written_again_of_whom_nothing_new_is_told(database: sa.Engine, order: int) -> None:
    same = {"Personennummer": "0000000001", "EMail": "a@kunde.example", "Firma": "Eins"}
    _delivered(database, order, 1, [same])
    before = _stored(database)
    _delivered(database, order, 2, [same | {"Firma": ""}])
    assert _stored(database) == before


def test_an_older_delivery_does_not_undo_one_that_told_nothing_new(database: sa.Engine, order: int) -> None:
    """2 and 4 tell the same, so 4 wrote nothing; 3, which came late, is older than 4 all the same."""
    same = {"Personennummer": "0000000001", "EMail": "a@kunde.example", "Firma": "Eins"}
    for number in (2, 4):
        _delivered(database, order, number, [same])
    assert _stored(database).delivery_number == 2
    _delivered(database, order, 3, [same | {"Firma": "Zwei"}])
    assert (_stored(database).fields["Firma"], _stored(database).delivery_number) == ("Eins", 4)
    _delivered(database, order, 5, [same | {"Firma": "Drei"}])
    assert (_stored(database).fields["Firma"], _stored(database).delivery_number) == ("Drei", 5)


def test_what_another_list_was_told_later_does_not_count(database: sa.Engine, order: int) -> None:
    other = world.order(database, "R0004712", name="Anderes")
    world.subscriber_list(database, other)
    same = {"Personennummer": "0000000001", "EMail": "a@kunde.example", "Firma": "Eins"}
    _delivered(database, order, 2, [same])
    _delivered(database, other, 9, [same | {"Firma": "Fremd"}])
    _delivered(database, order, 3, [same | {"Firma": "Zwei"}])
    with database.connect() as connection:
        lists = connection.execute(
            sa.select(tables.subscribers.c.fields["Firma"].astext).order_by(tables.subscribers.c.list_id)
        )
        assert lists.scalars().all() == ["Zwei", "Fremd"]


def test_changes_of_more_people_than_are_read_at_once(
    database: sa.Engine, order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill, "_BATCH", 3)
    people = [{"Personennummer": f"{n:010d}", "EMail": f"p{n}@kunde.example", "Firma": "Eins"} for n in range(8)]
    model = Model()
    for number, company in ((1, "Eins"), (2, "Zwei")):
        model.load(number, _delivered(database, order, number, [one | {"Firma": company} for one in people]))
    assert _list(database) == model.people
    assert len(model.people) == 8
