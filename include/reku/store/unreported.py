"""What is still to be reported to the core-banking system: nothing of it may be lost before."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.foundation.settings import settings
from reku.store.kinds import EventKind
from reku.store.tables import feedback_counters, feedback_files, feedback_rows, messages, orders, responses

ALWAYS = (EventKind.UNSUBSCRIBED, EventKind.COMPLAINED, EventKind.BOUNCED_HARD, EventKind.RETAINED, EventKind.NOT_SENT)
"""Kinds reported whatever the order asks for (docs/responses.md, "What is reported")."""

NOT_BY_DEFAULT = (EventKind.DELIVERED,)
"""Kinds left out where the order does not say what it asks for."""


def hold_exports(connection: sa.Connection, institute: str) -> None:
    """Let no export of the institute assign events until the caller's transaction ends; one that is at it ends first.

    For whoever looks whether events are still to be reported, and then takes them, or what they tell, away.
    """
    # A bank that has never exported has no counter yet that could be locked.
    connection.execute(insert(feedback_counters).values(institute=institute, last_number=0).on_conflict_do_nothing())
    connection.execute(
        sa.select(feedback_counters.c.last_number).where(feedback_counters.c.institute == institute).with_for_update()
    )


def unreported(institute: str, order_id: int | None = None) -> sa.Select[int]:
    """Ids of the events to be reported now, in no file yet: those out of the order's scope are left where they are."""
    wanted = _to_be_reported().where(
        responses.c.institute == institute, ~sa.exists().where(feedback_rows.c.response_id == responses.c.id)
    )
    return wanted if order_id is None else wanted.where(responses.c.order_id == order_id)


def waiting(which: sa.ColumnElement[bool]) -> sa.Select[int]:
    """Ids of the events of certain messages (`which`, over `messages`) that stand in no written response file yet."""
    written = (
        sa.exists()
        .where(feedback_rows.c.response_id == responses.c.id)
        .where(feedback_files.c.id == feedback_rows.c.file_id, feedback_files.c.written_at.is_not(None))
    )
    assigned = sa.exists().where(feedback_rows.c.response_id == responses.c.id)
    of_files_begun = (
        sa.select(responses.c.id)
        .join(messages, messages.c.id == responses.c.message_id)
        .where(which, assigned, ~written)
    )
    return _to_be_reported().where(which, ~assigned).union_all(of_files_begun)  # type: ignore[return-value]  # as a select


def not_told_since(first: datetime, last: datetime) -> sa.Select[str, datetime]:
    """Institutes with events recorded between two moments that stand in no written file, and the oldest of each."""
    written = (
        sa.exists()
        .where(feedback_rows.c.response_id == responses.c.id)
        .where(feedback_files.c.id == feedback_rows.c.file_id, feedback_files.c.written_at.is_not(None))
    )
    oldest = sa.func.min(responses.c.recorded_at).label("oldest")
    return (
        _to_be_reported()
        .with_only_columns(responses.c.institute, oldest)
        .where(responses.c.recorded_at >= first, responses.c.recorded_at < last, ~written)
        .group_by(responses.c.institute)
    )


def _to_be_reported() -> sa.Select[int]:
    wanted = orders.c.wanted_events
    in_scope = sa.case(
        (wanted.is_(None), responses.c.kind.not_in(NOT_BY_DEFAULT)),
        else_=responses.c.kind == sa.any_(wanted),
    )
    # What comes later is not reported, except the kinds in ALWAYS: they keep people from mails.
    late = timedelta(days=settings().late_events_days)
    sent_at = sa.func.coalesce(messages.c.begun_at, messages.c.ended_at, responses.c.at)
    return (
        sa.select(responses.c.id)
        .join(orders, orders.c.id == responses.c.order_id)
        .join(messages, messages.c.id == responses.c.message_id)
        .where(responses.c.kind.in_(ALWAYS) | (in_scope & (responses.c.at <= sent_at + late)))
    )
