"""What somebody has unsubscribed from by the link of a mail, and taking it back for a while.

docs/responses.md, "The unsubscribe page".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from reku.catalogue.institute import UnsubscribeScope
from reku.foundation import clock
from reku.store.audit import put_on_record
from reku.store.kinds import EventKind, SuppressionKind, UnsubscribedFrom
from reku.store.tables import feedback_rows, messages, past_messages, responses, suppressions
from reku.store.unreported import hold_exports

UNDO_FOR = timedelta(hours=24)
"""So long after an unsubscribe it may be taken back, as long as the bank's core system has not been told."""


@dataclass(frozen=True)
class Unsubscribed:
    """`scope`: from what, the widest counts. `undo_until`: how long it may be taken back here; None: not any more."""

    scope: UnsubscribeScope
    undo_until: datetime | None


def unsubscribed(engine: sa.Engine, message: int) -> Unsubscribed | None:
    """Whether the address or the person of a mail has unsubscribed from its order or from everything; None: no."""
    with engine.connect() as connection:
        return _unsubscribed(connection, message)


def undo(engine: sa.Engine, message: int) -> bool:
    """Take back what somebody unsubscribed from by this very mail; returns whether that was still possible.

    It is put on record. What was kept back meanwhile stays kept back.
    """
    with engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL lock_timeout = '5s'"))
        institute = connection.scalar(sa.select(messages.c.institute).where(messages.c.id == message))
        if institute is None:
            return False
        hold_exports(connection, institute)
        state = _unsubscribed(connection, message)
        if state is None or state.undo_until is None:
            return False
        connection.execute(sa.delete(suppressions).where(suppressions.c.id.in_(_bars(message))))
        connection.execute(sa.delete(responses).where(_event(message)))
        put_on_record(
            connection,
            institute,
            actor="recipient",
            action="undo unsubscribe",
            subject=f"messages:{message}",
            note="by the link of the mail",
        )
    return True


def report_everything(engine: sa.Engine, message: int) -> None:
    """Have the core system told that somebody wants no mail at all, where it has not been told of one order already."""
    with engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL lock_timeout = '5s'"))
        institute = connection.scalar(sa.select(messages.c.institute).where(messages.c.id == message))
        if institute is None:
            return
        hold_exports(connection, institute)
        connection.execute(
            sa.update(responses).where(_event(message), ~_is_reported()).values(scope=UnsubscribedFrom.INSTITUTE)
        )


def _unsubscribed(connection: sa.Connection, message: int) -> Unsubscribed | None:
    bars = connection.execute(
        sa.select(suppressions.c.order_id, suppressions.c.since).where(suppressions.c.id.in_(_bars(message)))
    ).all()
    if not bars:
        return None
    event = connection.execute(sa.select(responses.c.at, _is_reported()).where(_event(message))).one_or_none()
    scope = UnsubscribeScope.INSTITUTE if any(bar.order_id is None for bar in bars) else UnsubscribeScope.ORDER
    if event is None or event[1] or any(bar.since != event.at for bar in bars):
        return Unsubscribed(scope, None)  # by another mail, by phone, or told already
    until = event.at + UNDO_FOR
    return Unsubscribed(scope, until if clock.now() < until else None)


def _bars(message: int) -> sa.Select[int]:
    """Ids of the unsubscribes that keep the address or the person of the mail from more of its order."""
    here = sa.select(
        messages.c.institute, messages.c.order_id, messages.c.recipient_key, messages.c.person_number
    ).where(messages.c.id == message)
    past = sa.select(
        past_messages.c.institute, past_messages.c.order_id, past_messages.c.recipient_key, sa.literal("")
    ).where(past_messages.c.id == message)
    whose = here.union_all(past).subquery()
    bars = suppressions.c
    return (
        sa.select(bars.id)
        .join(whose, whose.c.institute == bars.institute)
        .where(
            bars.kind == SuppressionKind.UNSUBSCRIBED,
            (bars.recipient_key == whose.c.recipient_key)
            | ((bars.person_number == whose.c.person_number) & (whose.c.person_number != "")),
            bars.order_id.is_(None) | (bars.order_id == whose.c.order_id),
        )
    )


def _event(message: int) -> sa.ColumnElement[bool]:
    return (responses.c.message_id == message) & (responses.c.kind == EventKind.UNSUBSCRIBED)


def _is_reported() -> sa.ColumnElement[bool]:
    return sa.exists().where(feedback_rows.c.response_id == responses.c.id).correlate(responses)
