"""Events: everything to be reported about a message is written here, once (domain.md 9.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku import clock
from reku.store.tables import ResponseKind, deliveries, messages, orders, responses

ONCE_PER_MESSAGE = frozenset(
    {
        ResponseKind.VERS,
        ResponseKind.ABME,
        ResponseKind.BESC,
        ResponseKind.HBOU,
        ResponseKind.SBOU,
        ResponseKind.UBOU,
        ResponseKind.ZRUE,
        ResponseKind.NVER,
    }
)
"""Kinds of which a message has at most one, whenever it is noticed: their id leaves the time out."""


@dataclass(frozen=True)
class Event:
    """One thing that happened to a message (`message`: its id in the ledger)."""

    message: int
    kind: ResponseKind
    at: datetime
    reason: str = ""
    scope: str = ""
    link_number: int | None = None
    link_target: str = ""
    bounce_series: int | None = None


def record(connection: sa.Connection, events: Iterable[Event]) -> int:
    """Write events in the caller's transaction; one that is known already changes nothing.

    Returns how many were new. Raises ValueError for a message that does not exist.
    """
    wanted = list(events)
    if not wanted:
        return 0
    about = {
        row.id: row
        for row in connection.execute(
            sa.select(
                messages.c.id,
                messages.c.institute,
                messages.c.order_id,
                messages.c.delivery_number,
                messages.c.reference,
                orders.c.order_number,
                deliveries.c.kind,
            )
            .join(orders, orders.c.id == messages.c.order_id)
            .join(deliveries, deliveries.c.id == messages.c.delivery_id)
            .where(messages.c.id.in_({event.message for event in wanted}))
        )
    }
    unknown = {event.message for event in wanted} - about.keys()
    if unknown:
        raise ValueError(f"{len(unknown)} events name messages that do not exist")
    noted = clock.now()
    rows = [
        {
            "event_id": _event_id(event, about[event.message]),
            "institute": about[event.message].institute,
            "message_id": event.message,
            "order_id": about[event.message].order_id,
            "kind": event.kind,
            "at": event.at,
            "reason": event.reason,
            "scope": event.scope,
            "link_number": event.link_number,
            "link_target": event.link_target,
            "bounce_series": event.bounce_series,
            "recorded_at": noted,
        }
        for event in wanted
    ]
    statement = insert(responses).on_conflict_do_nothing(index_elements=["event_id"]).returning(responses.c.id)
    return len(connection.execute(statement, rows).all())


def _event_id(event: Event, about: sa.Row[*tuple[Any, ...]]) -> str:
    """32 hex digits of SHA-256 over what makes the event the same event (domain.md 9.6, idempotence)."""
    moment = "" if event.kind in ONCE_PER_MESSAGE else event.at.astimezone(UTC).isoformat()
    parts = (
        about.kind,
        about.institute,
        about.order_number,
        f"{about.delivery_number:06d}",
        about.reference,
        event.kind,
        moment,
        "" if event.link_number is None else str(event.link_number),
    )
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]
