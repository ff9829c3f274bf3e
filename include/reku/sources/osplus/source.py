"""OSPlus as a source: control files and deliveries come as files, receipts go back as files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.catalogue.rhythm import Schedule, period
from reku.foundation import clock
from reku.records import Rows
from reku.sources.order_days import days_by_rhythm, schedule_of
from reku.sources.osplus import rejected, rows, scan
from reku.sources.osplus.retry import retry
from reku.sources.source import AnnounceResult, Expected, Retried, TakenIn
from reku.store.states import HOLDS_ITS_NUMBER, DeliveryState
from reku.store.tables import deliveries


class OsplusFiles:
    """The files of the savings banks."""

    def take_in(self, engine: sa.Engine, bank: Institute) -> TakenIn:
        """One scan of the bank's inbox."""
        report = scan.take_in(engine, bank)
        return TakenIn(report.counts, report.problems)

    def announce(self, engine: sa.Engine, bank: Institute, occasion: str) -> AnnounceResult:  # noqa: ARG002 - nothing
        """Control files do it."""
        return AnnounceResult()

    def due_days(self, order: sa.Row[Any], bank: Institute, days: Sequence[date]) -> list[date]:
        """By the order's rhythm."""
        return days_by_rhythm(order, bank, days)

    def expected(self, order: sa.Row[Any], bank: Institute, day: date) -> Expected:
        """Until the order's Erwartet_bis of the next day: one night's grace."""
        until = clock.at(day + timedelta(days=1), order.expected_by.hour, order.expected_by.minute)
        return Expected(until, _period_name(schedule_of(order, bank), day))

    def is_there(self, engine: sa.Engine, order: int, day: date) -> bool:
        """Whether its file has come and is not parked."""
        return self.obtain(engine, order, day) is not None

    def obtain(self, engine: sa.Engine, order: int, day: date) -> int | None:
        """The newest one for the period that starts on that day, unless it was refused or is parked."""
        with engine.connect() as connection:
            newest = connection.execute(
                sa.select(deliveries.c.id, deliveries.c.state)
                .where(deliveries.c.order_id == order, deliveries.c.period_start == day)
                .where(deliveries.c.state.in_(HOLDS_ITS_NUMBER))
                .order_by(deliveries.c.id.desc())
                .limit(1)
            ).one_or_none()
        return None if newest is None or newest.state == DeliveryState.PARKED else int(newest.id)

    def read_rows(self, engine: sa.Engine, delivery: int) -> Rows:
        """The rows of its file."""
        return rows.read_rows(engine, delivery)

    def tell_rejected(self, engine: sa.Engine, delivery: int) -> None:
        """By the receipt of its file."""
        rejected.receipt_for_rejects(engine, delivery)

    def retry(self, engine: sa.Engine, delivery: int, actor: str) -> Retried:
        """Its original is read again."""
        return retry(engine, delivery, actor)


@lru_cache(10_000)
def _period_name(schedule: Schedule, day: date) -> str:
    """The period that a day belongs to: `01.11.2026 – 30.11.2026`."""
    found = period(schedule, day)
    if found is None or found.end == date.max or found.end - found.start == timedelta(days=1):
        return f"{day:%d.%m.%Y}"
    return f"{found.start:%d.%m.%Y} – {found.end - timedelta(days=1):%d.%m.%Y}"
