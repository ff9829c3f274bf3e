"""Messages in doubt: begun, and their answer never recorded.

The occasion's policy says what becomes of them: `do_not_resend` leaves them to a person, `resend` lets the dispatch
send them again with the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from reku import clock
from reku.catalogue import occasions
from reku.catalogue.occasion import InDoubt
from reku.errors import StageError
from reku.mailing.campaign import Route
from reku.store.events import Event, record
from reku.store.tables import MessageState, ResponseKind, audit, messages, orders

UNRESOLVED_CODE = "UNGEKLAERT"
"""Grund_Code of NVER for a message in doubt that was closed as not sent (domain.md 9.6)."""


MOST_TRIES = 5
"""A message that fell in doubt so often is not sent again by itself."""


def resend(engine: sa.Engine, delivery: int, way: Route) -> int:
    """Open the delivery's messages in doubt again if the occasion's policy says so. Returns how many.

    Only under the delivery's lock and after `recover`: whoever handed them over is dead, or has been silent for longer
    than its lease.
    """
    if occasions()[way.occasion].in_doubt is not InDoubt.RESEND:
        return 0
    with engine.begin() as connection:
        opened = connection.execute(
            sa.update(messages)
            .where(messages.c.delivery_id == delivery, messages.c.state == MessageState.IN_DOUBT)
            .where(messages.c.last_day >= clock.today(), messages.c.attempts < MOST_TRIES)
            .values(state=MessageState.OPEN, fence=None, claimed_at=None)
        )
        return opened.rowcount


def in_doubt(engine: sa.Engine) -> Sequence[sa.Row[*tuple[Any, ...]]]:
    """All messages in doubt: institute, order_number, delivery (id), reference, message_id, begun_at."""
    with engine.connect() as connection:
        return connection.execute(
            sa.select(
                messages.c.institute,
                orders.c.order_number,
                messages.c.delivery_id.label("delivery"),
                messages.c.reference,
                messages.c.message_id,
                messages.c.begun_at,
            )
            .join(orders, orders.c.id == messages.c.order_id)
            .where(messages.c.state == MessageState.IN_DOUBT)
            .order_by(messages.c.institute, messages.c.id)
        ).all()


def resolve(
    engine: sa.Engine,
    institute: str,
    reference: str,
    *,
    sent: bool,
    actor: str,
    note: str,
    delivery: int | None = None,
) -> None:
    """Close a message in doubt as sent (the relay's log has its Message-ID) or as not sent; it is never sent again.

    Writes the event VERS or NVER/UNGEKLAERT and the audit entry in one transaction. A reference is unique within its
    delivery only: `delivery` (id) chooses among several. Raises StageError when the reference does not name exactly one
    message in doubt of the institute.
    """
    moment = clock.now()
    with engine.begin() as connection:
        wanted = (
            sa.select(messages.c.id, messages.c.begun_at, messages.c.delivery_id)
            .where(messages.c.institute == institute, messages.c.reference == reference)
            .where(messages.c.state == MessageState.IN_DOUBT)
            .order_by(messages.c.id)
            .with_for_update()
        )
        found = connection.execute(
            wanted if delivery is None else wanted.where(messages.c.delivery_id == delivery)
        ).all()
        if len(found) > 1:
            raise StageError(
                f"{institute} has {len(found)} messages in doubt with the reference {reference}, of the deliveries "
                f"{', '.join(str(row.delivery_id) for row in found)}. Say which one is meant: --delivery ID."
            )
        if not found:
            raise StageError(
                f"{institute} has no message in doubt with the reference {reference}. "
                "`reku messages in-doubt` lists those there are."
            )
        row = found[0]
        if sent:
            change = {"state": MessageState.SENT, "ended_at": row.begun_at}
            event = Event(row.id, ResponseKind.VERS, row.begun_at)
        else:
            change = {"state": MessageState.WITHHELD, "reason": UNRESOLVED_CODE, "ended_at": moment}
            event = Event(row.id, ResponseKind.NVER, moment, UNRESOLVED_CODE)
        connection.execute(sa.update(messages).where(messages.c.id == row.id).values(**change))
        record(connection, [event])
        connection.execute(
            sa.insert(audit).values(
                institute=institute,
                at=moment,
                actor=actor,
                action="resolve as sent" if sent else "resolve as not sent",
                subject=reference,
                note=note,
            )
        )
