"""What others ask intake: which orders are in force, what is parked and why, and a delivery's original bytes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time

import sqlalchemy as sa

from reku.errors import StageError
from reku.intake import filing
from reku.intake.folders import Folders
from reku.store.tables import DeliveryState, deliveries, files, orders


@dataclass(frozen=True)
class Order:
    """An order in force: its newest control file was processed and did not end it."""

    id: int
    institute: str
    order_number: str
    interface: str
    name: str
    occasion: str
    rhythm: str
    origin: str
    valid_from: date
    valid_until: date | None
    expected_by: time


@dataclass(frozen=True)
class Parked:
    """A delivery that waits for a processed control file, with the FAQ's advice in German."""

    delivery_id: int
    institute: str
    order_number: str
    delivery_number: int
    day: date
    code: str
    advice: str


def processed_orders(engine: sa.Engine, occasion: str) -> list[Order]:
    """The orders of an occasion in force, by institute and number; ended and faulty ones are left out."""
    columns = [orders.c[name] for name in Order.__dataclass_fields__]
    wanted = (
        sa.select(*columns)
        .where(orders.c.occasion == occasion, ~orders.c.ended, ~orders.c.faulty)
        .order_by(orders.c.institute, orders.c.order_number)
    )
    with engine.connect() as connection:
        return [Order(*row) for row in connection.execute(wanted)]


def parked(engine: sa.Engine, occasion: str) -> list[Parked]:
    """The parked deliveries of an occasion, by institute, order and number."""
    wanted = (
        sa.select(
            deliveries.c.id,
            deliveries.c.institute,
            deliveries.c.order_number,
            deliveries.c.delivery_number,
            deliveries.c.day,
            deliveries.c.code,
            deliveries.c.advice,
        )
        .where(deliveries.c.occasion == occasion, deliveries.c.state == DeliveryState.PARKED)
        .order_by(deliveries.c.institute, deliveries.c.order_number, deliveries.c.delivery_number)
    )
    with engine.connect() as connection:
        return [Parked(*row) for row in connection.execute(wanted)]


def original(engine: sa.Engine, delivery_id: int) -> bytes:
    """The bytes of a delivery as they arrived (packed if they came packed). Raises StageError if they are gone."""
    with engine.connect() as connection:
        file = connection.execute(
            sa.select(files).join(deliveries, deliveries.c.file_id == files.c.id).where(deliveries.c.id == delivery_id)
        ).first()
    if file is None:
        raise StageError(f"There is no delivery {delivery_id}. `reku deliveries list` lists those that are known.")
    try:
        return filing.original(Folders(file.institute), file)
    except FileNotFoundError:
        raise StageError(
            f"The original of delivery {delivery_id} is no longer at {file.stored_as}. "
            "Put it back there, or ask the sender to deliver again."
        ) from None
