"""Nobody is selected twice and nobody is missed, whatever is repeated, made up for, refused or left waiting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reku.catalogue import institutes
from reku.catalogue.rhythm import Schedule, due_dates
from reku.foundation import clock
from reku.process.systems import system_of
from reku.sources.agree21 import announcing
from reku.store import tables
from reku.store.states import DeliveryState
from reku_testing import banks
from reku_testing.world import BLZ
from tests.sources.agree21.imported import add_person, end, finish, note_import

FIRST = date(2026, 11, 2)
BEFORE, AFTER = 1, 2
"""Days around an appointment on which nobody is written to."""
WINDOW = 3
"""Days after the birthday on which MCAG002 may still be written to; ages are round."""
Move = Callable[[datetime], None]

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["run", "run", "again", "backfill"]),
        st.integers(0, 4),  # days that pass before
        st.sampled_from(["load", "wait", "refuse", "free"]),
        st.none() | st.tuples(st.integers(0, 5), st.integers(-3, 3)),  # somebody's appointment, from that day on
    ),
    min_size=1,
    max_size=8,
)
BIRTHDAYS = st.lists(st.integers(-6, 25), min_size=1, max_size=6)


@pytest.fixture
def coop(reku_settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def configure(rhythm: str) -> None:
        announces = {"occasion": "MCAG002", "rhythm": rhythm, "valid_from": FIRST.isoformat(), "placeholder": "MF_01"}
        campaign = {"order": "K2026-014", "name": "Runde", "active": True, "announces": announces, "blocks": []}
        contact = {"appointment_days": BEFORE, "appointment_days_after": AFTER}
        banks.configure(monkeypatch, tmp_path / "config", core_system="agree21", campaigns=[campaign], contact=contact)

    return configure


class World:
    """One order, its people, and what a plain model says of them."""

    def __init__(self, engine: sa.Engine, move: Move, birthdays: list[int]) -> None:
        self.engine, self.move, self.today = engine, move, FIRST
        self.bank = institutes()[BLZ]
        self.source = system_of(self.bank).source
        self.pairs = {f"p{n}": FIRST + timedelta(days=offset) for n, offset in enumerate(birthdays)}
        self.taken: set[str] = set()
        self.appointments: set[tuple[str, date]] = set()
        self.move(clock.at(FIRST, 5))
        announcing.announce(engine, self.bank, "MCAG002")
        with engine.begin() as connection:
            self.order = connection.execute(sa.select(tables.orders)).one()
            for person, birthday in self.pairs.items():
                add_person(connection, person, born=birthday.replace(year=birthday.year - 50))

    def wanted(self) -> set[str]:
        """Whose window is open today, who was not selected before unless a passing reason ended it, and is free."""
        open_ = {p for p, day in self.pairs.items() if day <= self.today <= day + timedelta(days=WINDOW)}
        return {p for p in open_ - self.taken if not self.is_barred(p)}

    def is_barred(self, person: str) -> bool:
        near = range(-AFTER, BEFORE + 1)
        return any((person, self.today + timedelta(days=ahead)) in self.appointments for ahead in near)

    def appoint(self, number: int, ahead: int) -> None:
        """Somebody has an appointment."""
        one = f"p{number % len(self.pairs)}", self.today + timedelta(days=ahead)
        if one not in self.appointments:
            self.appointments.add(one)
            row = {"institute": BLZ, "person_number": one[0], "day": one[1]}
            with self.engine.begin() as connection:
                connection.execute(sa.insert(tables.appointments).values(row))

    def select(self, day: date, then: str) -> None:
        """Have the day's delivery, hold it against the model if it is new, and let something become of it."""
        before = self.deliveries()
        delivery = self.source.obtain(self.engine, self.order.id, day)
        assert delivery is not None
        if delivery in before:
            return
        with self.engine.begin() as connection:
            rows = connection.execute(
                sa.select(tables.selected_rows).where(tables.selected_rows.c.delivery_id == delivery)
            ).all()
            found = {row.person_number for row in rows}
            assert len(found) == len(rows)
            assert found == self.wanted()
            assert all(row.occasion_date == self.pairs[row.person_number] for row in rows)
            if then in ("load", "wait"):
                self.taken |= found
            if then in ("load", "free"):
                end(connection, delivery, "WITHHELD", "SPERRZEIT" if then == "free" else "KEINE_EINWILLIGUNG")
            elif then == "refuse":
                finish(connection, delivery, DeliveryState.REFUSED)

    def deliveries(self) -> set[int]:
        with self.engine.connect() as connection:
            return set(connection.scalars(sa.select(tables.deliveries.c.id)))

    def clear(self) -> None:
        with self.engine.begin() as connection:
            names = ", ".join(f"reku.{table.name}" for table in tables.metadata.sorted_tables)
            connection.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))


@pytest.mark.parametrize("rhythm", ["TAEGLICH", "WOECHENTLICH"])
@hypothesis_settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(birthdays=BIRTHDAYS, steps=STEPS)
def test_nobody_twice_and_nobody_missed(
    database: sa.Engine,
    coop: Callable[[str], None],
    clock_at: Move,
    rhythm: str,
    birthdays: list[int],
    steps: list[tuple[str, int, str, tuple[int, int] | None]],
) -> None:
    coop(rhythm)
    of = World(database, clock_at, birthdays)
    schedule = Schedule(of.order.rhythm, FIRST, None, "NW")
    try:
        for what, pass_, then, appointment in steps:
            of.today += timedelta(days=pass_)
            clock_at(clock.at(of.today, 5, 30))
            note_import(database)
            if appointment is not None:
                of.appoint(*appointment)
            due = due_dates(schedule, FIRST, of.today)
            if what == "backfill":
                of.select(due[len(due) // 2], then)
            elif of.source.due_days(of.order, of.bank, [of.today]):
                of.select(of.today, then)
                if what == "again":
                    of.select(of.today, then)
    finally:
        of.clear()
