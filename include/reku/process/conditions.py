"""What a waiting task looks for, by name, so that a trigger can carry it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import sqlalchemy as sa

from reku.process import due_work
from reku.store.engine import engine
from reku.store.states import DeliveryState
from reku.store.tables import deliveries, orders


def processed_control_file(occasion: str) -> int | None:
    """How many orders of the occasion have a processed control file; None if none has."""
    with engine().connect() as connection:
        count = connection.scalar(sa.select(sa.func.count()).select_from(orders).where(orders.c.occasion == occasion))
    return count or None


def parked_deliveries(occasion: str) -> int:
    """How many deliveries of the occasion are parked for want of a processed control file."""
    with engine().connect() as connection:
        return (
            connection.scalar(
                sa.select(sa.func.count())
                .select_from(deliveries)
                .where(deliveries.c.occasion == occasion, deliveries.c.state == DeliveryState.PARKED)
            )
            or 0
        )


def delivery(order: int, period_start: str) -> int | None:
    """The id of the delivery expected for that period, if it has come and is not parked."""
    with engine().connect() as connection:
        found = due_work.delivery_for(connection, order, date.fromisoformat(period_start))
        state = connection.scalar(sa.select(deliveries.c.state).where(deliveries.c.id == found)) if found else None
    return found if state not in (None, DeliveryState.PARKED) else None


def earlier_loaded(delivery: int) -> int | None:
    """The delivery's own id as soon as no lower-numbered one of its order is still to be loaded."""
    return delivery if due_work.earlier_not_loaded(engine(), delivery) is None else None


CONDITIONS: dict[str, Callable[..., int | None]] = {
    "processed_control_file": processed_control_file,
    "delivery": delivery,
    "earlier_loaded": earlier_loaded,
}
