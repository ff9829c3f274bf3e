"""What a stage waits for, by name, so that it can be looked for by whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import sqlalchemy as sa

from reku.process.collecting import is_collected
from reku.process.due_work import earlier_not_loaded
from reku.process.refused import refused_for
from reku.process.systems import bank_named, system_of
from reku.store.tables import orders


def control_file_processed(engine: sa.Engine, occasion: str) -> bool:
    """Whether any order of the occasion has a processed control file."""
    with engine.connect() as connection:
        return bool(connection.scalar(sa.select(sa.exists().where(orders.c.occasion == occasion))))


def delivery_there(engine: sa.Engine, institute: str, order: int, day: str, told: int | None) -> bool:
    """Whether an order's delivery of that day can be had, or one was refused since `told`, the last one known of."""
    of_day = date.fromisoformat(day)
    if system_of(bank_named(institute)).source.is_there(engine, order, of_day):
        return True
    refused = refused_for(engine, order, of_day)
    return refused is not None and refused.id != told


def earlier_loaded(engine: sa.Engine, delivery: int) -> bool:
    """Whether no lower-numbered delivery of the same order is still to be loaded."""
    return earlier_not_loaded(engine, delivery) is None


CONDITIONS: dict[str, Callable[..., bool]] = {
    condition.__name__: condition
    for condition in (control_file_processed, delivery_there, earlier_loaded, is_collected)
}
