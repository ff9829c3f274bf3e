"""The order's new events are written into a response file; without new events there is none."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from reku.process.answers import Answer, Done
from reku.process.systems import bank_named, system_of
from reku.reporting.export import NOTHING_TOLD, export
from reku.store.tables import deliveries


def carry_out(engine: sa.Engine, delivery: int, day: date) -> Answer:  # noqa: ARG001 - see Stage
    """Report what the order's deliveries have brought and nobody was told yet."""
    with engine.connect() as connection:
        institute, order = connection.execute(
            sa.select(deliveries.c.institute, deliveries.c.order_id).where(deliveries.c.id == delivery)
        ).one()
    bank = bank_named(institute)
    written = export(engine, bank, system_of(bank).feedback, order_id=order)
    return Done(written.counts if written else NOTHING_TOLD)
