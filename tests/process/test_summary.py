"""What keeps a run from being green, and what does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.process.answers import Ending, StageOutcome
from reku.process.days import handed_over_by
from reku.process.due_work import Item
from reku.process.summary import sum_up
from reku.process.unclaimed import unclaimed
from reku.store.tables import messages, releases
from reku_testing import banks, world
from reku_testing.steps import allow_any_step

DAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon(clock_at: Callable[[datetime], None]) -> None:
    clock_at(NOON)


def _problems(engine: sa.Engine, items: list[Item], outcomes: Sequence[StageOutcome] = ()) -> list[str]:
    return sum_up(engine, "MCAG002", DAY, "this_run", items, outcomes).problems


def _loaded(engine: sa.Engine, order: int, number: int = 17, **values: Any) -> int:
    delivery = world.delivery(engine, order, number, **{"state": "LOADED", "loaded_at": NOON} | values)
    for row in world.rows(engine, delivery, [world.reku_fields(1, number)]):
        world.message(engine, row)
    return delivery


def test_a_corrected_file_settles_the_refused_one(database: sa.Engine) -> None:
    """Otherwise no clearing could ever make that run green again."""
    order = world.order(database)
    refused = world.delivery(database, order, state="REFUSED", code="FEHLERQUOTE")
    items = [Item(order, refused, "Bank")]
    assert len(_problems(database, items)) == 1
    world.delivery(database, order, number=18, state="LOADED", rows=0, accepted=0, rejected=0)
    assert len(_problems(database, items)) == 1
    world.delivery(database, order, state="LOADED", rows=0, accepted=0, rejected=0)
    assert _problems(database, items) == []


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "expected"])
@pytest.mark.parametrize(
    ("values", "skipped", "red"),
    [
        ({}, True, False),
        ({}, False, True),
        ({"state": "VALIDATED", "loaded_at": None}, True, False),
        ({"state": "VALIDATED", "loaded_at": None}, False, True),
        # a past day's run that has it in hand leaves these to nobody
        ({"loaded_at": datetime(2026, 11, 23, 11, tzinfo=UTC)}, True, True),
    ],
)
def test_what_another_run_loads_and_hands_over_is_its_to_answer_for(
    database: sa.Engine, values: dict[str, Any], skipped: bool, red: bool, listed: bool
) -> None:
    order = world.order(database)
    delivery = _loaded(database, order, owner_dag="reku_mcag002", owner_run="other_run", period_start=DAY, **values)
    items = [Item(order, delivery if listed else None, "Bank")]
    outcomes = [StageOutcome("await_delivery", Ending.SKIPPED, 0)] if skipped else []
    assert bool(_problems(database, items, outcomes)) is red


@pytest.mark.parametrize(
    ("day", "loaded", "expected"),
    [
        (24, 24, (24, None)),
        (24, 20, (24, None)),
        (23, 23, (23, 23)),
        (23, 20, (23, 23)),
        (23, 24, (24, None)),  # came within the night's grace, or a backfill loads it now
        (23, None, (23, 23)),
    ],
)
def test_what_a_run_hands_over(day: int, loaded: int | None, expected: tuple[int, int | None]) -> None:
    at = datetime(2026, 11, loaded, 4, tzinfo=UTC) if loaded else None
    until, exactly = handed_over_by(date(2026, 11, day), DAY, at)
    assert (until.day, exactly.day if exactly else None) == expected


def test_an_order_whose_occasion_file_is_gone_is_named_as_long_as_it_lasts(database: sa.Engine) -> None:
    world.order(database, occasion="MCAX999")
    world.order(database, "R0000002", occasion="MCAX999", ended=True)
    for run in ("one", "two"):
        (problem,) = unclaimed(database, run)
        assert "R0004711" in problem
        assert "MCAX999" in problem


def test_a_parked_delivery_that_tells_no_occasion_is_named_once(database: sa.Engine) -> None:
    order = world.order(database)
    world.delivery(database, order, 1, state="PARKED", occasion="", advice="Steuerungsdatei fehlt")
    world.delivery(database, order, 2, state="PARKED")  # its occasion's own run names it
    (problem,) = unclaimed(database, "one")
    assert "000001" in problem
    assert unclaimed(database, "one") == [problem]  # clearing the same run says it again
    assert unclaimed(database, "two") == []


@pytest.mark.parametrize(
    ("institute", "number", "named"),
    [
        (None, None, True),
        (world.BLZ, None, True),
        (world.BLZ, world.ORDER, True),
        (world.BLZ, "R0000002", False),  # of another occasion
        (world.BLZ, "R0000003", False),  # has ended
        ("99950002", None, False),
    ],
)
@pytest.mark.parametrize("due", [NOON, NOON + timedelta(days=2)])
def test_a_stop_is_named_where_it_concerns_the_occasion(
    database: sa.Engine, institute: str | None, number: str | None, named: bool, due: datetime
) -> None:
    order = world.order(database)
    world.order(database, "R0000002", occasion="MCAL001")
    world.order(database, "R0000003", ended=True)
    world.order(database, institute="99950002", occasion="MCAL001")
    delivery = _loaded(database, order)
    with database.begin() as connection:
        connection.execute(sa.update(messages).values(due_at=due))
    stop = stop_switches.throw(database, institute=institute, order=number, actor="anna", note="secret reasons")
    found = sum_up(database, "MCAG002", DAY, "this_run", [Item(order, delivery, "Bank")], [])
    lines = [line for line in found.lines if "anna stopped" in line]
    assert len(lines) == named
    assert all(f"on 24.11.2026 at 12:00 (stop {stop}); `reku stop lift {stop} --note …`" in line for line in lines)
    if due > NOON:
        assert found.problems == []  # it keeps nothing open yet
    else:
        (problem,) = found.problems
        assert "1 messages due by 24.11.2026 are still open" in problem
        assert ("; anna stopped" in problem) is named
    assert "secret" not in str(found)


@pytest.mark.parametrize(("policy", "clears"), [("do_not_resend", False), ("resend", True)])
def test_messages_in_doubt_are_red_with_what_their_policy_advises(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, policy: str, clears: bool
) -> None:
    banks.policy_for_doubts(banks.configure(monkeypatch, tmp_path / "include"), "MCAG002", policy)
    _loaded(database, world.order(database))
    with database.begin() as connection:
        allow_any_step(connection)
        connection.execute(sa.update(messages).values(state="IN_DOUBT", begun_at=NOON))
    (problem,) = _problems(database, [])
    assert f"{world.BLZ}, order {world.ORDER}: 1 messages in doubt." in problem
    assert "`reku messages resolve`" in problem
    assert ("Clear `dispatch` first" in problem) is clears


@pytest.mark.parametrize(
    ("state", "asked", "told"),
    [
        ("VALIDATED", False, "not loaded, it is VALIDATED"),
        ("VALIDATED", True, "nobody has approved or declined it yet"),
        ("DECLINED", True, "declined by a person"),
    ],
)
def test_what_waits_for_a_person_or_was_declined_is_named_with_advice(
    database: sa.Engine, state: str, asked: bool, told: str
) -> None:
    order = world.order(database)
    delivery = world.delivery(database, order, state=state)
    (row,) = world.rows(database, delivery, [world.reku_fields(1)])
    if asked:
        decision = "DECLINED" if state == "DECLINED" else None
        with database.begin() as connection:
            connection.execute(
                sa.insert(releases).values(delivery_id=delivery, institute=world.BLZ, asked_at=NOON, decision=decision)
            )
    items = [Item(order, delivery, "Bank")]
    if state == "DECLINED":
        assert any("do not add up" in problem for problem in _problems(database, items))
        world.message(database, row, state="WITHHELD", reason="FREIGABE_VERWEIGERT")
    (problem,) = _problems(database, items)
    assert told in problem
