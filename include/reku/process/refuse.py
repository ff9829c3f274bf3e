"""A person refuses a delivery that can neither go on nor be declined, so that its order is free for the next ones."""

from __future__ import annotations

import logging

import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.process.systems import system_of_delivery
from reku.store.audit import put_on_record
from reku.store.delivery import load_delivery
from reku.store.states import DELIVERY_IS_ON_ITS_WAY, DeliveryState
from reku.store.tables import deliveries, delivery_rows
from reku.vault.erasure import erasure_on_record

log = logging.getLogger(__name__)

CODE = "VERARBEITUNG"
ADVICE = "Die Lieferung wurde von Hand abgelehnt, da sie hier nicht verarbeitet werden kann. EMMA-Support fragen."


def refuse(engine: sa.Engine, delivery: int, *, actor: str, note: str) -> None:
    """Refuse a delivery that is not loaded yet, audited; its sender is told as of any refused one.

    Nobody of it is put on a list or written to, and its number is free for a corrected file. One that was refused
    before stays so. Raises StageError if it is loaded or declined, or if there is no such delivery.
    """
    source = system_of_delivery(engine, delivery).source
    with engine.begin() as connection:
        load_delivery(connection, delivery)
        row = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery).with_for_update()).one()
        if row.state in DELIVERY_IS_ON_ITS_WAY:
            with erasure_on_record(connection, row.institute, delivery, actor):
                connection.execute(sa.delete(delivery_rows).where(delivery_rows.c.delivery_id == delivery))
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.id == delivery)
                .values(state=DeliveryState.REFUSED, code=CODE, advice=ADVICE, accepted=0, rejected=row.rows)
            )
            put_on_record(
                connection,
                row.institute,
                actor=actor,
                action="deliveries refuse",
                subject=f"deliveries:{delivery}",
                note=note,
            )
            log.info("delivery %d, %s, was refused by hand", delivery, row.state)
        elif row.state != DeliveryState.REFUSED:
            raise StageError(
                f"Delivery {delivery} is {row.state}: it holds up nothing, and cannot be refused any more. What of it "
                f"has not gone out is closed by `reku deliveries close {delivery} --note …`."
            )
    source.tell_rejected(engine, delivery)
