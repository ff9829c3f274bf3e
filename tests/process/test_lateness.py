"""What should have happened by now is named: runs, response files, tasks that failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.process.failed_work import FailedWork, note_failed, note_made_good
from reku.process.lateness import note_begun
from reku.process.needs import Need, NeedKind, needs
from reku.store import tables
from reku.store.kinds import EventKind
from reku_testing import banks, world
from reku_testing.steps import allow_any_step

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
TODAY = date(2026, 11, 24)


@pytest.fixture(autouse=True)
def noon(clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock_at(NOON)
    banks.configure(monkeypatch, tmp_path / "config")


def _of(engine: sa.Engine, kind: NeedKind) -> list[Need]:
    return [need for need in needs(engine) if need.kind is kind]


def test_a_run_that_has_not_begun(
    database: sa.Engine, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.order(database, rhythm="TAEGLICH", valid_from=date(2026, 6, 1))
    assert _of(database, NeedKind.NOT_BEGUN) == []
    monkeypatch.setattr(clock, "is_moved", lambda: False)
    assert _of(database, NeedKind.NOT_BEGUN) == [], "where no run has ever begun there is no schedule"
    note_begun(database, "MCAG008", TODAY)
    note_begun(database, "MCAG002", TODAY - timedelta(days=1))
    (late,) = _of(database, NeedKind.NOT_BEGUN)
    assert (late.occasion, late.since, late.kind.weight) == ("MCAG002", clock.at(TODAY, 4, 15), "mid")
    clock_at(clock.at(TODAY, 4, 14))
    assert _of(database, NeedKind.NOT_BEGUN) == []
    clock_at(NOON)
    note_begun(database, "MCAG002", TODAY)
    note_begun(database, "MCAG002", TODAY - timedelta(days=7))  # a run for a past day takes nothing back
    assert _of(database, NeedKind.NOT_BEGUN) == []


@pytest.mark.parametrize(
    ("recorded", "now", "is_late"),
    [
        (clock.at(date(2026, 11, 23), 21, 59), NOON, True),
        (clock.at(date(2026, 11, 23), 22, 1), NOON, False),
        (clock.at(date(2026, 11, 24), 21), clock.at(TODAY, 22, 59), False),
        (clock.at(date(2026, 11, 24), 21), clock.at(TODAY, 23, 1), True),
        (clock.at(date(2026, 11, 19), 21), NOON, False),  # named for long enough
    ],
)
def test_what_no_response_file_has(
    database: sa.Engine, clock_at: Callable[[datetime], None], recorded: datetime, now: datetime, is_late: bool
) -> None:
    order = world.order(database)
    delivery = world.delivery(database, order, state="LOADED", rows=1, accepted=1)
    message = world.message(database, world.row(database, delivery, world.reku_fields()))
    with database.begin() as connection:
        event = {"institute": world.BLZ, "message_id": message, "order_id": order, "kind": EventKind.UNSUBSCRIBED}
        connection.execute(sa.insert(tables.responses).values(**event, at=recorded, recorded_at=recorded))
    clock_at(now)
    found = _of(database, NeedKind.NOT_REPORTED)
    assert [(need.institute, need.since) for need in found] == ([(world.BLZ, recorded)] if is_late else [])


def _failed(engine: sa.Engine, task: str, label: str = "", **values: object) -> None:
    about = {"institute": None, "order_id": None, "occasion": "MCAG002"} | values
    note_failed(engine, FailedWork(dag="reku_mcag002", task=task, label=label, **about))  # type: ignore[arg-type] # a table


def test_a_failed_task_is_named_until_it_comes_through(
    database: sa.Engine, clock_at: Callable[[datetime], None]
) -> None:
    order = world.order(database, rhythm="JAEHRLICH", valid_from=date(2026, 6, 1))
    _failed(database, "delivery.upsert_subscribers", "Bank · Geburtstag · 000017", order_id=order)
    _failed(database, "report")
    (need,) = _of(database, NeedKind.FAILED)
    assert (need.institute, need.order, need.occasion) == (world.BLZ, world.ORDER, "MCAG002")
    assert need.said.what.english == "The task `upsert_subscribers` has failed: Bank · Geburtstag · 000017."
    note_made_good(database, "reku_mcag002", "delivery.upsert_subscribers", "Bank · Geburtstag · 000017")
    (need,) = _of(database, NeedKind.FAILED)
    assert need.cause == "FAILED reku_mcag002 report"
    clock_at(NOON + timedelta(days=4))
    assert _of(database, NeedKind.FAILED) == []


def test_what_has_failed_for_a_reason_on_the_list_is_no_second_cause(database: sa.Engine) -> None:
    order = world.order(database, rhythm="JAEHRLICH", valid_from=date(2026, 6, 1))
    delivery = world.delivery(database, order, state="REFUSED", rows=20, code="FEHLERQUOTE", day=TODAY)
    _failed(database, "delivery.validate", "Bank · Geburtstag · 000017", order_id=order)
    _failed(database, "report")
    assert [need.kind for need in needs(database)] == [NeedKind.REFUSED]
    with database.begin() as connection:
        allow_any_step(connection)
        of = sa.update(tables.deliveries).where(tables.deliveries.c.id == delivery)
        connection.execute(of.values(state="LOADED"))
    assert [need.kind for need in needs(database)] == [NeedKind.FAILED]
