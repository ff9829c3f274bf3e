"""An item's delivery: listed already, or expected and waited for."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from reku.process.answers import Answer, Done, WaitFor
from reku.process.banks import label_of
from reku.process.days import end_of_waiting
from reku.process.due_work import Item
from reku.process.refused import refused_for
from reku.process.systems import bank_named, system_of
from reku.store.tables import orders


def await_delivery(engine: sa.Engine, item: Item, day: date) -> Answer:
    """Done with the id of the item's delivery and its label; waits for one that is expected and not there yet.

    Of one that came and was refused it says so at once, and waits for the corrected one.
    """
    if item.delivery:
        return Done({"delivery": item.delivery, "label": item.label})
    with engine.connect() as connection:
        order = connection.execute(sa.select(orders).where(orders.c.id == item.order)).one()
    bank = bank_named(order.institute)
    source = system_of(bank).source
    delivery = source.obtain(engine, item.order, day)
    if delivery:
        return Done({"delivery": delivery, "label": label_of(engine, delivery)})
    expected = source.expected(order, bank, day)
    refused = refused_for(engine, item.order, day)
    whose = f"{item.label} (BLZ {bank.blz}, order {order.order_number})"
    if refused:
        in_vain = (
            f"{whose}: the delivery for {expected.period} could not be used: {refused} If a corrected one comes after"
            " all, the next run takes it, and so does this one when this task is cleared."
        )
    else:
        in_vain = (
            f"{whose}: no delivery for {expected.period}. Ask the sender for it. If it comes later after all, the next"
            " run takes it; nothing has to be cleared."
        )
    return WaitFor(
        "delivery_there",
        {
            "institute": bank.blz,
            "order": item.order,
            "day": day.isoformat(),
            "told": refused.id if refused else None,
        },
        min(expected.until, end_of_waiting(day)),
        why=f"{whose}: the delivery for {expected.period} is expected" + (f"; {refused}" if refused else ""),
        in_vain=in_vain,
        label=f"{item.label} · {refused.code}" if refused else "",
    )
