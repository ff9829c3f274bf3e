"""One uncounted copy of a delivery's messages for whoever checks them at the institute (Kontrolladresse).

It is filled for an invented person and its links lead nowhere that counts: nobody's data leaves the house for it, and a
click by the bank's own staff unsubscribes nobody.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.dispatch.channel import ControlCopyResult, PreparedChannel
from reku.foundation import clock
from reku.store.tables import deliveries, dispatches

log = logging.getLogger(__name__)


def send_control_copy(engine: sa.Engine, delivery: int, prepared: PreparedChannel) -> None:
    """Send the copy once per delivery, if somebody is to have one.

    A refusal is logged and stops nothing. Raises what the channel raises when nothing can be sent at all; then the next
    dispatch sends the copy.
    """
    if not prepared.has_control_copy or not _claim(engine, delivery):
        return
    result = ControlCopyResult()
    try:
        prepared.send_control_copy(result)
    except BaseException:  # interrupted or failed: only a copy that was taken counts as sent
        if not result.taken:
            _forget(engine, delivery)
        raise
    if result.refusals:
        log.warning("delivery %d: the control copy was not taken: %s", delivery, ", ".join(result.refusals))


def _claim(engine: sa.Engine, delivery: int) -> bool:
    """Whether this dispatch is the one to send the copy."""
    with engine.begin() as connection:
        of_delivery = sa.select(deliveries.c.id, deliveries.c.institute, sa.literal(clock.now()))
        claim = (
            insert(dispatches)
            .from_select(
                ["delivery_id", "institute", "control_copy_at"], of_delivery.where(deliveries.c.id == delivery)
            )
            .on_conflict_do_update(
                index_elements=["delivery_id"],
                set_={"control_copy_at": clock.now()},
                where=dispatches.c.control_copy_at.is_(None),
            )
        )
        return connection.scalar(claim.returning(dispatches.c.delivery_id)) is not None


def _forget(engine: sa.Engine, delivery: int) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.update(dispatches).where(dispatches.c.delivery_id == delivery).values(control_copy_at=None)
        )
