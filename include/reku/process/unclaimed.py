"""What no occasion's run would ever name: it would be silently not sent."""

from __future__ import annotations

import sqlalchemy as sa

from reku.catalogue import occasions
from reku.store.states import DeliveryState
from reku.store.tables import deliveries, orders


def unclaimed(engine: sa.Engine, run: str) -> list[str]:
    """One sentence each: orders in force whose occasion has no file any more, parked deliveries that tell no occasion.

    The first are named as long as it lasts, the others by the first run that meets them.
    """
    known = occasions()
    with engine.begin() as connection:
        lost = connection.execute(
            sa.select(orders.c.institute, orders.c.order_number, orders.c.occasion)
            .where(~orders.c.ended, orders.c.occasion.not_in(list(known)))
            .order_by(orders.c.institute, orders.c.order_number)
        ).all()
        nameless = connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.state == DeliveryState.PARKED, deliveries.c.occasion.not_in(list(known)))
            .where(deliveries.c.alarmed_run.is_(None) | (deliveries.c.alarmed_run == run))
            .values(alarmed_run=run)
            .returning(
                deliveries.c.institute, deliveries.c.order_number, deliveries.c.delivery_number, deliveries.c.advice
            )
        ).all()
    return [
        f"{row.institute}, order {row.order_number}: its occasion {row.occasion} has no file in include/occasions, so "
        "nothing is sent for it. Restore the file, or have the order ended."
        for row in lost
    ] + [
        f"{row.institute}, order {row.order_number}, delivery {row.delivery_number:06d} is parked: {row.advice}"
        for row in nameless
    ]
