"""Days on which an order was due and nothing did the day's work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.process.missed_rhythms import MissedRhythm, RunOfDay, missed_rhythms, windows
from reku_testing import banks, world

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
TODAY = NOON.date()
CODE = "MCAG002"


def _back(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.fixture(autouse=True)
def noon(clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock_at(NOON)
    banks.configure(monkeypatch, tmp_path / "config")


def _days(found: list[MissedRhythm]) -> dict[int, str]:
    return {(TODAY - one.day).days: one.run for one in found}


def test_only_past_days_without_a_good_run_are_missed(database: sa.Engine) -> None:
    world.order(database, valid_from=date(2026, 11, 6))
    runs = {
        (CODE, _back(1)): RunOfDay.FAILED,
        (CODE, _back(2)): RunOfDay.DONE,
        (CODE, _back(3)): RunOfDay.AT_WORK,
        ("MCAG008", _back(4)): RunOfDay.DONE,
        (CODE, TODAY): RunOfDay.FAILED,
    }
    assert _days(missed_rhythms(database, runs, days=4)) == {4: "none", 1: "failed"}
    (first, _) = missed_rhythms(database, runs, days=4)
    assert (first.institute, first.order, first.occasion, first.delivery) == (world.BLZ, world.ORDER, CODE, "")
    assert missed_rhythms(database, runs, days=4, occasion="MCAG008") == []
    assert missed_rhythms(database, runs, days=4, institute="99990002") == []


def test_what_came_through_all_the_same_is_not_missed(database: sa.Engine) -> None:
    order = world.order(database, valid_from=date(2026, 11, 6))
    for number, (back, state) in enumerate({1: "LOADED", 2: "DECLINED", 3: "REFUSED", 4: "REGISTERED"}.items(), 1):
        world.delivery(database, order, number, state=state, period_start=_back(back))
    found = missed_rhythms(database, {}, days=4)
    assert {(TODAY - one.day).days: one.delivery for one in found} == {3: "REFUSED", 4: "REGISTERED"}


def test_an_order_misses_nothing_before_it_was_known_or_due(database: sa.Engine) -> None:
    order = world.order(database, valid_from=date(2026, 11, 6))
    assert len(missed_rhythms(database, {}, days=6)) == 6
    world.subscriber_list(database, order, reserved_at=NOON - timedelta(days=2))
    assert _days(missed_rhythms(database, {}, days=6)) == {2: "none", 1: "none"}
    world.order(database, "R0000102", rhythm="JAEHRLICH", valid_from=date(2026, 6, 1))
    assert {one.order for one in missed_rhythms(database, {}, days=6)} == {world.ORDER}


@pytest.mark.parametrize(
    ("backs", "found"),
    [([], []), ([3], [(3, 3)]), ([1, 2, 3], [(3, 1)]), ([5, 1, 2, 2, 4], [(5, 4), (2, 1)])],
)
def test_windows_have_no_gaps(backs: list[int], found: list[tuple[int, int]]) -> None:
    assert windows([_back(back) for back in backs]) == [(_back(first), _back(last)) for first, last in found]
