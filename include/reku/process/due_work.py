"""What a run has to do on its day: deliveries that are there, and orders whose delivery is expected."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from reku.catalogue import Institute
from reku.process.banks import Banks
from reku.process.systems import is_served, system_of
from reku.store.due import due_by
from reku.store.states import HOLDS_ITS_NUMBER, MAY_STILL_GO_OUT, STILL_TO_BE_LOADED, DeliveryState
from reku.store.tables import deliveries, messages, orders


@dataclass(frozen=True)
class Item:
    """One piece of work: a delivery, or an order whose delivery is expected. `label` is shown to people."""

    order: int
    delivery: int | None
    label: str

    def as_xcom(self) -> dict[str, int | str | None]:
        """For XCom: ids and the bank's and order's names, nothing of people."""
        return asdict(self)


def due_items(engine: sa.Engine, occasion: str, day: date, today: date, institute: str = "") -> list[Item]:
    """The work of a day for one occasion: deliveries, then expected ones, by institute, order and delivery number.

    With an `institute` (BLZ) only its own.

    The run of the present day takes everything outstanding: deliveries not yet loaded, loaded ones with messages due,
    orders whose delivery is expected and not there. A run for a past day takes only what belongs to that very day.
    """
    past = day < today
    to_do = (deliveries.c.order_id == orders.c.id) & (_not_loaded(day, past) | _loaded_with_due(day, past))
    awaited = ~orders.c.ended & ~_is_there(orders.c.id, day)
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(orders, awaited.label("awaited"), deliveries.c.id.label("delivery"), deliveries.c.delivery_number)
            .select_from(orders.outerjoin(deliveries, to_do))
            .where(orders.c.occasion == occasion, deliveries.c.id.is_not(None) | awaited)
            .where(orders.c.institute == institute if institute else sa.true())
            .order_by(orders.c.institute, orders.c.order_number, deliveries.c.delivery_number)
        ).all()
    banks = Banks()
    listed = [
        Item(row.id, row.delivery, banks.delivery_label(row.institute, row.name, row.delivery_number))
        for row in rows
        if row.delivery is not None
    ]
    expected = {
        row.id: Item(row.id, None, banks.order_label(row.institute, row.name))
        for row in rows
        if row.awaited and _is_expected(row, banks.get(row.institute), day)
    }
    return [*listed, *expected.values()]


def _not_loaded(day: date, past: bool) -> sa.ColumnElement[bool]:
    registered = deliveries.c.day == day if past else deliveries.c.day <= day
    return deliveries.c.state.in_(STILL_TO_BE_LOADED) & registered


def _loaded_with_due(day: date, past: bool) -> sa.ColumnElement[bool]:
    open_due = (
        sa.exists()
        .where(messages.c.delivery_id == deliveries.c.id)
        .where(messages.c.state.in_(MAY_STILL_GO_OUT))
        .where(due_by(messages.c.due_at, day, only=day if past else None))
    )
    return (deliveries.c.state == DeliveryState.LOADED) & open_due


def _is_there(order: sa.ColumnElement[int], period_start: date) -> sa.ColumnElement[bool]:
    there = deliveries.alias("there")
    return sa.exists().where(
        there.c.order_id == order, there.c.period_start == period_start, there.c.state.in_(HOLDS_ITS_NUMBER)
    )


def _is_expected(order: sa.Row[Any], bank: Institute | None, day: date) -> bool:
    """Whether a delivery of the order (a row of `orders`) is due on that day; of a bank that is not known, none is."""
    return bank is not None and is_served(bank) and system_of(bank).source.is_expected(order, bank, day)


def earlier_not_loaded(engine: sa.Engine, delivery: int) -> int | None:
    """Number of a lower-numbered delivery of the same order that is still to be loaded, or None."""
    this = deliveries.alias("this")
    with engine.connect() as connection:
        found: int | None = connection.scalar(
            sa.select(sa.func.min(deliveries.c.delivery_number))
            .select_from(deliveries.join(this, this.c.order_id == deliveries.c.order_id))
            .where(this.c.id == delivery, this.c.state != DeliveryState.LOADED)
            .where(deliveries.c.delivery_number < this.c.delivery_number)
            .where(deliveries.c.state.in_(STILL_TO_BE_LOADED))
        )
        return found
