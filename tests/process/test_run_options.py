"""What a run by hand is asked for: some banks or orders, what is there, mails that are late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.process.due_work import due_items
from reku.process.run_options import EVERYTHING, RunOptions
from reku.process.stages.dispatch import allow_late
from reku.store.tables import audit, messages
from reku_testing import banks, world

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
TODAY, YESTERDAY = date(2026, 11, 24), date(2026, 11, 23)


@pytest.mark.parametrize(
    ("params", "options"),
    [
        ({}, EVERYTHING),
        ({"day": "2026-11-24", "banks": [], "orders": None, "late": False}, EVERYTHING),
        ({"banks": ["99990001", "99990001 "]}, RunOptions(banks=("99990001",))),
        ({"orders": ["r0000101", " ", "R0000102"]}, RunOptions(orders=("R0000101", "R0000102"))),
        ({"late": True, "ignore_missing": True, "dry_run": True}, RunOptions((), (), True, True, True)),
    ],
)
def test_fields_of_the_form(params: dict[str, Any], options: RunOptions) -> None:
    assert RunOptions.of(params, {"99990001"}) == options


def test_a_bank_there_is_not() -> None:
    with pytest.raises(StageError, match=r"There is no bank 99990010\. Did you mean 99990001\?"):
        RunOptions.of({"banks": ["99990010"]}, {"99990001"})


def test_only_what_is_asked_for_is_listed(
    database: sa.Engine, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock_at(NOON)
    banks.configure(monkeypatch, tmp_path / "config")
    there, awaited = (world.order(database, number, valid_from=date(2026, 11, 6)) for number in ("R1", "R2"))
    world.delivery(database, there, day=TODAY, period_start=TODAY, state="REGISTERED")

    def listed(**options: Any) -> list[int]:
        return [item.order for item in due_items(database, "MCAG002", TODAY, TODAY, options=RunOptions(**options))]

    assert listed() == [there, awaited]
    assert listed(orders=("R2",)) == [awaited]
    assert listed(banks=("99990002",)) == []
    assert listed(ignore_missing=True) == [there]


def test_late_mails_go_out_if_asked_for_unless_their_own_last_day_is_over(
    database: sa.Engine, clock_at: Callable[[datetime], None]
) -> None:
    clock_at(NOON)
    delivery = world.delivery(database, world.order(database), state="LOADED", day=TODAY, loaded_at=NOON)
    fields = [world.reku_fields(number) for number in (1, 2, 3, 4)]
    first, own, sent, later = world.rows(database, delivery, fields)
    world.message(database, first, due_at=NOON, last_day=YESTERDAY)
    world.message(database, own, due_at=NOON, last_day=YESTERDAY)
    world.message(database, sent, due_at=NOON, last_day=YESTERDAY, state="SENT")
    world.message(database, later, due_at=NOON, last_day=date(2026, 11, 30))
    with database.begin() as connection:
        connection.execute(
            sa.text("UPDATE reku.delivery_rows SET valid_until = :day WHERE id = :id"), {"day": YESTERDAY, "id": own}
        )
    assert allow_late(database, delivery, TODAY, "manual__1") == 1
    assert allow_late(database, delivery, TODAY, "manual__1") == 0
    with database.connect() as connection:
        days = {row.row_id: row.last_day for row in connection.execute(sa.select(messages))}
        (entry,) = connection.execute(sa.select(audit)).all()
    assert days == {first: TODAY, own: YESTERDAY, sent: YESTERDAY, later: date(2026, 11, 30)}
    assert (entry.action, entry.subject) == ("send late", f"deliveries:{delivery}")
    assert entry.note == "1 messages, asked for by run manual__1"
