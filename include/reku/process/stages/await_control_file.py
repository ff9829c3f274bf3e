"""The day begins as soon as any order of the occasion has a processed control file."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from reku.foundation import clock
from reku.process.answers import Answer, Done, Skip, WaitFor
from reku.store.states import DeliveryState
from reku.store.tables import deliveries, orders

ADVICE = (
    "Auftragsbezeichnung im Vertriebsweg EMMA in OSPlus einmal ändern, dann wird die Steuerungsdatei erneut gesendet "
    "(change the order's name once in OSPlus, so that the control file is sent again)."
)
PATIENCE_ENDS = 8
"""Hour of the day, Berlin time, until which a control file is waited for."""


def await_control_file(engine: sa.Engine, occasion: str, day: date) -> Answer:
    """Done with the number of orders; Skip if nobody has ordered; waits while deliveries are parked for want of it."""
    with engine.connect() as connection:
        ordered = connection.scalar(_count(orders).where(orders.c.occasion == occasion))
        if ordered:
            return Done({"orders": ordered})
        parked = connection.scalar(
            _count(deliveries).where(deliveries.c.occasion == occasion, deliveries.c.state == DeliveryState.PARKED)
        )
    if not parked:
        return Skip(f"Nobody has ordered {occasion}.")
    return WaitFor(
        "control_file_processed",
        {"occasion": occasion},
        clock.at(day, PATIENCE_ENDS),
        why=f"{parked} deliveries are parked and no control file is processed",
        in_vain=f"No control file for {occasion}, and deliveries are parked for want of it. {ADVICE}",
    )


def _count(table: sa.Table) -> sa.Select[int]:
    return sa.select(sa.func.count()).select_from(table)
