"""agree21 as a source: banks deliver data, their campaigns announce the orders, and we select the people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.records import Rows
from reku.sources.agree21 import announcing, selection, selection_rows
from reku.sources.agree21.scan import import_data_of
from reku.sources.order_days import days_by_rhythm
from reku.sources.source import AnnounceResult, Expected, Retried, TakenIn


class Selections:
    """Selections from the data of the cooperative banks."""

    def take_in(self, engine: sa.Engine, bank: Institute) -> TakenIn:
        """One look for the bank's data."""
        return import_data_of(engine, bank)

    def announce(self, engine: sa.Engine, bank: Institute, occasion: str) -> AnnounceResult:
        """By the campaigns of the bank's file."""
        return announcing.announce(engine, bank, occasion)

    def due_days(self, order: sa.Row[Any], bank: Institute, days: Sequence[date]) -> list[date]:
        """By the order's rhythm."""
        return days_by_rhythm(order, bank, days)

    def expected(self, order: sa.Row[Any], bank: Institute, day: date) -> Expected:  # noqa: ARG002 - the bank's own
        """Until the end of the day's send window."""
        return Expected(selection.deadline(bank, day), f"{day:%d.%m.%Y}")

    def is_there(self, engine: sa.Engine, order: int, day: date) -> bool:
        """Whether it was selected, could be, or is waited for in vain."""
        return selection.can_be_had(engine, order, day)

    def obtain(self, engine: sa.Engine, order: int, day: date) -> int | None:
        """Selected now unless it was before."""
        return selection.obtain(engine, order, day)

    def read_rows(self, engine: sa.Engine, delivery: int) -> Rows:
        """The selected rows, opened in memory."""
        return selection_rows.read_rows(engine, delivery, selection.CONTRACT)

    def tell_rejected(self, engine: sa.Engine, delivery: int) -> None:
        """Nobody has sent it; the rows that were kept for the gate go."""
        selection_rows.forget_rows(engine, delivery)

    def retry(self, engine: sa.Engine, delivery: int, actor: str) -> Retried:
        """It is selected anew."""
        return selection.retry(engine, delivery, actor)
