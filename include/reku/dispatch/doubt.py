"""Messages in doubt: begun, and their answer never recorded.

The occasion's policy says what becomes of them: `do_not_resend` leaves them to a person, `resend` lets the dispatch
send them again with the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from reku.catalogue import occasions
from reku.catalogue.occasion import InDoubt
from reku.contact.reasons import Reason
from reku.dispatch.plan import SendPlan
from reku.foundation import clock, tokens
from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.store.events import Event, record
from reku.store.kinds import EventKind
from reku.store.states import MessageState
from reku.store.tables import audit, delivery_rows, messages, orders
from reku.vault.erasure import erasure_on_record
from reku.vault.sealed_rows import forget_rows

_Rows = Sequence[sa.Row[*tuple[Any, ...]]]

UNRESOLVED_CODE = Reason.UNGEKLAERT.code
"""Reason of a message in doubt that was closed as not sent."""

MOST_TRIES = 5
"""A message that fell in doubt so often is not sent again by itself."""


class SettledBy(StrEnum):
    """Who says what becomes of a message in doubt."""

    DISPATCH = "dispatch"  # the next one sends it again
    PERSON = "person"  # `reku messages resolve`


@dataclass(frozen=True)
class Doubt:
    """A message in doubt. `policy`: its occasion's, None if the occasion has no readable file any more.

    `return_path`: how its envelope sender begins, for looking it up in the relay's log. `message_id` is empty for one
    whose dispatcher was lost with its journal: nobody knows whether it was begun.
    """

    institute: str
    order_number: str
    delivery: int
    reference: str
    message_id: str
    return_path: str
    begun_at: datetime
    policy: InDoubt | None
    settled_by: SettledBy


def resend(engine: sa.Engine, delivery: int, plan: SendPlan) -> int:
    """Open the delivery's messages in doubt again if the occasion's policy says so. Returns how many.

    Only under the delivery's lock and after `recover`: whoever handed them over is dead, or has been silent for longer
    than its lease.
    """
    if occasions()[plan.occasion].in_doubt is not InDoubt.RESEND:
        return 0
    with engine.begin() as connection:
        opened = connection.execute(
            sa.update(messages)
            .where(messages.c.delivery_id == delivery, messages.c.state == MessageState.IN_DOUBT, _may_be_resent())
            .values(state=MessageState.OPEN, fence=None, claimed_at=None)
        )
        return opened.rowcount


def _may_be_resent() -> sa.ColumnElement[bool]:
    return (messages.c.last_day >= clock.today()) & (messages.c.attempts < MOST_TRIES)


def in_doubt(engine: sa.Engine, *conditions: sa.ColumnElement[bool]) -> list[Doubt]:
    """All messages in doubt (for which the conditions hold), bank by bank."""
    listed = (
        sa.select(
            messages.c.id,
            messages.c.institute,
            orders.c.order_number,
            orders.c.occasion,
            messages.c.delivery_id,
            messages.c.reference,
            messages.c.message_id,
            messages.c.begun_at,
            _may_be_resent().label("may_be_resent"),
        )
        .join(orders, orders.c.id == messages.c.order_id)
        .where(messages.c.state == MessageState.IN_DOUBT, *conditions)
        .order_by(messages.c.institute, messages.c.id)
    )
    known = occasions().whole
    doubts = []
    with engine.connect() as connection:
        for row in connection.execute(listed):
            policy = known[row.occasion].in_doubt if row.occasion in known else None
            resent = policy is InDoubt.RESEND and row.may_be_resent
            doubts.append(
                Doubt(
                    row.institute,
                    row.order_number,
                    row.delivery_id,
                    row.reference,
                    row.message_id,
                    f"b+{tokens.beginning(row.id)}",
                    row.begun_at,
                    policy,
                    SettledBy.DISPATCH if resent else SettledBy.PERSON,
                )
            )
    return doubts


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
    """Close a message in doubt as sent (the relay's log has it) or as not sent; it is never sent again.

    Writes the event, SENT or NOT_SENT (UNGEKLAERT), and the audit entry in one transaction. A reference is unique
    within its delivery only: `delivery` (id) chooses among several. Raises StageError when the reference does not name
    exactly one message in doubt of the institute.
    """
    with engine.begin() as connection:
        rows = _locked(connection, institute, delivery, messages.c.reference == reference)
        if len(rows) > 1:
            raise StageError(
                f"{institute} has {len(rows)} messages in doubt with the reference {reference}, of the deliveries "
                f"{', '.join(str(row.delivery_id) for row in rows)}. Say which one is meant: --delivery ID."
            )
        if not rows:
            raise StageError(
                f"{institute} has no message in doubt with the reference {reference}. "
                "`reku messages in-doubt` lists those there are."
            )
        _close(connection, institute, rows, sent=sent, actor=actor, note=note)


def resolve_all(engine: sa.Engine, institute: str, delivery: int, *, sent: bool, actor: str, note: str) -> int:
    """Close all messages in doubt of a delivery in the same way, each with its event and its audit entry.

    For a lost machine, whose whole batches are in doubt. One transaction. Returns how many. Raises StageError when the
    delivery has none, or is another institute's.
    """
    with engine.begin() as connection:
        rows = _locked(connection, institute, delivery)
        if not rows:
            raise StageError(
                f"{institute} has no message in doubt in a delivery {delivery}. `reku messages in-doubt` lists those "
                "there are."
            )
        _close(connection, institute, rows, sent=sent, actor=actor, note=note)
    return len(rows)


def close_old(engine: sa.Engine) -> int:
    """Close as not sent what has been in doubt for REKU_KEEP_DOUBT_HOURS and has a sealed row; returns how many.

    Where we select the people, their names and addresses may be kept no longer. It is never sent again.
    """
    hours = settings().keep_doubt_hours
    of_sealed = (delivery_rows.c.delivery_id == messages.c.delivery_id) & (
        delivery_rows.c.reference == messages.c.reference
    )
    old = (
        sa.select(
            messages.c.id,
            messages.c.institute,
            messages.c.delivery_id,
            messages.c.reference,
            messages.c.begun_at,
            messages.c.row_id,
        )
        .join(delivery_rows, of_sealed)
        .where(delivery_rows.c.data_key_id.is_not(None), messages.c.state == MessageState.IN_DOUBT)
        .where(messages.c.begun_at < clock.now() - timedelta(hours=hours))
        .order_by(messages.c.institute, messages.c.id)
        .with_for_update(of=messages, skip_locked=True)
    )
    with engine.begin() as connection:
        rows = connection.execute(old).all()
        for institute, of_institute in groupby(rows, key=lambda row: row.institute):
            note = f"nobody has said within {hours:g} hours what became of it"
            _close(connection, institute, list(of_institute), sent=False, actor="reku", note=note)
    return len(rows)


def _locked(
    connection: sa.Connection, institute: str, delivery: int | None, *conditions: sa.ColumnElement[bool]
) -> _Rows:
    wanted = (
        sa.select(messages.c.id, messages.c.reference, messages.c.begun_at, messages.c.delivery_id, messages.c.row_id)
        .where(messages.c.institute == institute, messages.c.state == MessageState.IN_DOUBT, *conditions)
        .order_by(messages.c.id)
        .with_for_update()
    )
    return connection.execute(wanted if delivery is None else wanted.where(messages.c.delivery_id == delivery)).all()


def _close(connection: sa.Connection, institute: str, rows: _Rows, *, sent: bool, actor: str, note: str) -> None:
    moment = clock.now()
    change: dict[str, Any]
    if sent:
        change = {"state": MessageState.SENT, "ended_at": messages.c.begun_at}
        events = [Event(row.id, EventKind.SENT, row.begun_at) for row in rows]
    else:
        change = {
            "state": MessageState.WITHHELD,
            "reason": UNRESOLVED_CODE,
            "reasons": [UNRESOLVED_CODE],
            "ended_at": moment,
        }
        events = [Event(row.id, EventKind.NOT_SENT, moment, UNRESOLVED_CODE) for row in rows]
    connection.execute(sa.update(messages).where(messages.c.id.in_([row.id for row in rows])).values(**change))
    record(connection, events)
    for delivery in sorted({row.delivery_id for row in rows}):
        with erasure_on_record(connection, institute, delivery, actor):
            own = [row.row_id for row in rows if row.delivery_id == delivery and row.row_id is not None]
            forget_rows(connection, own)
    audited = {
        "institute": institute,
        "at": moment,
        "actor": actor,
        "action": "resolve as sent" if sent else "resolve as not sent",
        "note": note,
    }
    connection.execute(sa.insert(audit), [audited | {"subject": row.reference} for row in rows])
