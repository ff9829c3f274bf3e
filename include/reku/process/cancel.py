"""Close a delivery for good: what has not gone out never will, and the core system is told (GESTOPPT)."""

from __future__ import annotations

import sqlalchemy as sa

from reku.contact.reasons import Reason
from reku.dispatch.ledger import withhold
from reku.dispatch.lock import StillRunning, delivery_lock
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.store.audit import put_on_record
from reku.store.delivery import load_delivery
from reku.store.states import MessageState
from reku.store.tables import messages
from reku.vault.erasure import erasure_on_record


def cancel(engine: sa.Engine, delivery: int, *, actor: str, note: str) -> int:
    """Withhold every open message of a delivery, whenever it is due. Returns how many.

    What was sent or is in doubt stays as it is. Raises StageError if there is no such delivery, or if it is being
    dispatched right now; StillLeased while a lost machine may still have mails of it in hand.
    """
    with engine.connect() as connection:
        known = load_delivery(connection, delivery)
    try:
        with delivery_lock(engine, delivery):
            return _close(engine, delivery, known.institute, actor, note)
    except StillRunning:
        raise StageError(
            f"Delivery {delivery} is being dispatched. First stop it: `reku stop order {known.institute} "
            f"{known.order_number} --note …`; two seconds later it can be closed. Nothing is closed."
        ) from None


def _close(engine: sa.Engine, delivery: int, institute: str, actor: str, note: str) -> int:
    with engine.begin() as connection:
        waiting = connection.scalars(
            sa.select(messages.c.id)
            .where(messages.c.delivery_id == delivery, messages.c.state == MessageState.OPEN)
            .with_for_update()
        ).all()
        with erasure_on_record(connection, institute, delivery, actor):
            closed = withhold(connection, dict.fromkeys(waiting, (Reason.GESTOPPT,)), clock.now())
        subject = f"deliveries:{delivery}"
        put_on_record(connection, institute, actor=actor, action="close", subject=subject, note=note)
    return closed
