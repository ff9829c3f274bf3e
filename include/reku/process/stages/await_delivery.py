"""An item's delivery: listed already, or expected and waited for."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from reku.process.answers import Answer, Done, WaitFor
from reku.process.days import end_of_waiting
from reku.process.due_work import Item
from reku.process.systems import bank_named, system_of
from reku.store.tables import orders


def await_delivery(engine: sa.Engine, item: Item, day: date) -> Answer:
    """Done with the id of the item's delivery and its label; waits for one that is expected and not there yet."""
    if item.delivery:
        return Done({"delivery": item.delivery, "label": item.label})
    with engine.connect() as connection:
        order = connection.execute(sa.select(orders).where(orders.c.id == item.order)).one()
    bank = bank_named(order.institute)
    source = system_of(bank).source
    delivery = source.obtain(engine, item.order, day)
    if delivery:
        return Done({"delivery": delivery, "label": item.label})
    expected = source.expected(order, bank, day)
    return WaitFor(
        "delivery_there",
        {"institute": bank.blz, "order": item.order, "day": day.isoformat()},
        min(expected.until, end_of_waiting(day)),
        why=f"the delivery for {expected.period} is expected",
        in_vain=f"{item.label}: no delivery for {expected.period}. Ask the sender for it. If it comes later after all, "
        "the next run takes it; nothing has to be cleared.",
    )
