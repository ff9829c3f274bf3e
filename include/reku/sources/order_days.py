"""On which days an order is due: by its rhythm, in the state and after the habits of its bank."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.catalogue.rhythm import Schedule, is_due


def schedule_of(order: sa.Row[Any], bank: Institute) -> Schedule:
    """The schedule of an order, a row of `orders`."""
    return _made(order.rhythm, order.valid_from, order.valid_until, bank.state, bank.daily_on, bank.due_on_holiday)


def days_by_rhythm(order: sa.Row[Any], bank: Institute, days: Iterable[date]) -> list[date]:
    """Those of the days on which the order is due."""
    schedule = schedule_of(order, bank)
    return [day for day in days if is_due(schedule, day)]


_made = lru_cache(10_000)(Schedule)  # many orders share one, and it is checked when it is made
