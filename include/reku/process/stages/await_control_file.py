"""The day begins as soon as somebody has ordered the occasion: by a control file, or in the bank's own file."""

from __future__ import annotations

import logging
from datetime import date

import sqlalchemy as sa

from reku.catalogue import institutes
from reku.foundation import clock
from reku.process.answers import Answer, Counts, Done, Skip, WaitFor
from reku.process.lateness import note_begun
from reku.process.systems import is_served, system_of
from reku.store.states import DeliveryState
from reku.store.tables import deliveries, orders

log = logging.getLogger(__name__)

ADVICE = (
    "Auftragsbezeichnung im Vertriebsweg EMMA in OSPlus einmal ändern, dann wird die Steuerungsdatei erneut gesendet "
    "(change the order's name once in OSPlus, so that the control file is sent again)."
)
PATIENCE_ENDS = 8
"""Hour of the day, Berlin time, until which a control file is waited for."""


def await_control_file(engine: sa.Engine, occasion: str, day: date) -> Answer:
    """Done with the number of orders; Skip if nobody has ordered; waits while deliveries are parked for want of it.

    First it is noted that the day has begun, and the orders are written down that campaigns announce in the files of
    their banks.
    """
    note_begun(engine, occasion, day)
    announced = _announce(engine, occasion)
    with engine.connect() as connection:
        ordered = connection.scalar(_count(orders).where(orders.c.occasion == occasion))
        if ordered:
            return Done({"orders": ordered, **announced})
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


def _announce(engine: sa.Engine, occasion: str) -> Counts:
    """Let each bank's file change its orders, and say for whom; a broken file announces nothing, and ends nothing."""
    changed: list[str] = []
    for bank in filter(is_served, institutes().whole.values()):
        result = system_of(bank).source.announce(engine, bank, occasion)
        if result.announced or result.ended:
            changed.append(f"{bank.name}: {result.announced} announced or changed, {result.ended} ended")
            log.info("orders of %s by the file of %s (%s)", occasion, changed[-1], bank.blz)
        for problem in result.problems:
            log.warning("%s", problem)
    return {"announced": "; ".join(changed)} if changed else {}


def _count(table: sa.Table) -> sa.Select[int]:
    return sa.select(sa.func.count()).select_from(table)
