"""A person says no to a delivery: nothing of it is mailed, and the sender is told so row by row."""

from __future__ import annotations

import logging
from collections.abc import Collection

import sqlalchemy as sa

from reku.contact.reasons import Reason
from reku.dispatch import ledger
from reku.foundation import clock
from reku.release import decision
from reku.store.delivery import load_delivery
from reku.store.states import DeliveryState
from reku.store.tables import deliveries
from reku.subscribers import load
from reku.vault.erasure import erasure_on_record

log = logging.getLogger(__name__)

AT_ONCE = 10_000
"""Messages whose events are written together, so that a delivery of any size fits into memory."""


def decline(engine: sa.Engine, delivery: int, *, actor: str, note: str) -> int:
    """Decline a VALIDATED delivery and record all its rows as withheld with FREIGABE_VERWEIGERT; both or nothing.

    The daily feedback reports them as not sent. Returns how many; 0 if it was declined before. Raises StageError if it
    went through already or was refused, or has not passed the gate yet; ConfigError for a broken occasion or institute
    file.
    """
    moment = clock.now()
    with engine.begin() as connection:
        load.lock_order(connection, delivery)
        if not decision.decline(connection, delivery, actor=actor, note=note):
            return 0
        institute = load_delivery(connection, delivery).institute
        ids = load.open_without_list(connection, delivery)
        with erasure_on_record(connection, institute, delivery, actor):
            for start in range(0, len(ids), AT_ONCE):
                batch = ids[start : start + AT_ONCE]
                ledger.withhold(connection, dict.fromkeys(batch, (Reason.FREIGABE_VERWEIGERT,)), moment)
    log.info("delivery %d was declined: %d rows are withheld", delivery, len(ids))
    return len(ids)


def declined_of(engine: sa.Engine, wanted: Collection[int]) -> set[int]:
    """Those of some deliveries (ids) that a person has declined: what failed by that is decided."""
    declined = sa.select(deliveries.c.id).where(
        deliveries.c.id.in_(wanted), deliveries.c.state == DeliveryState.DECLINED
    )
    with engine.connect() as connection:
        return set(connection.scalars(declined))
