"""What became of one row, from the file it came in to the files it was reported in. Ids and codes, nobody's data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.store.kinds import HitVerdict
from reku.store.tables import (
    audit,
    deliveries,
    delivery_rows,
    feedback_files,
    feedback_rows,
    files,
    hits,
    messages,
    prepared_files,
    prepared_rows,
    rejects,
    releases,
    responses,
    return_mails,
)


@dataclass(frozen=True)
class Trace:
    """One row. `gate` is "accepted" or "rejected"; the rest below it is empty where the row did not get so far.

    `code`, `field`, `advice`: the fault of a rejected row. `line` is None for an accepted row that has left by
    retention. `reason`: the one reported; `reasons`: all that held when it was withheld. `message`: its id in the
    ledger. `attempts`: how often the relay was tried; `answer`: what it said last. `retry_at`: until then it is put
    off. `prepared_file`: the newest that it stands in, while its rows are kept; `fetch_until`: its last day.
    `decision` is empty while nobody and nothing has decided about the delivery's release. `events`: kind, at,
    reason, scope, link_number, link_target, bounce_series, response_file (its number, None while unreported),
    file_name, stamped_at, written_at. `by_machines`: opens and clicks that machines made (kind, at, link_number,
    rule). `by_hand`: what people did about the row (at, action, note). `mails`: mails of the return mailbox about it,
    the evidence of its bounces and complaints: mail (its name there), meaning, event, status, why, taken_at.
    `life.life` puts it all in the order of time.
    """

    institute: str
    reference: str
    file_name: str
    line: int | None
    received_at: datetime
    order: str
    delivery: int
    delivery_number: int
    period: date | None
    delivery_state: str
    decision: str
    decided_at: datetime | None
    loaded_at: datetime | None
    gate: str
    code: str
    field: str
    advice: str
    message: int | None
    due_at: datetime | None
    last_day: date | None
    state: str
    reason: str
    reasons: tuple[str, ...]
    medium: str
    attempts: int | None
    message_id: str
    answer: str
    retry_at: datetime | None
    claimed_at: datetime | None
    begun_at: datetime | None
    ended_at: datetime | None
    prepared_file: str
    fetch_until: date | None
    events: list[dict[str, Any]]
    by_machines: list[dict[str, Any]]
    by_hand: list[dict[str, Any]]
    mails: list[dict[str, Any]]


def traces(engine: sa.Engine, reference: str, institute: str = "") -> list[Trace]:
    """All rows with this Referenz, of one institute or of all, in the order of their deliveries and lines.

    Raises StageError if there is none.
    """
    with engine.connect() as connection:
        found = [_fate(connection, row) for row in connection.execute(_rows(reference, institute))]
    if not found:
        where = f"of institute {institute} " if institute else ""
        raise StageError(
            f"No row {where}that went through the gate has the Referenz {reference}. Files that are parked, refused or "
            "still wait for the gate are not looked into: see `reku deliveries list`."
        )
    return found


def _sent(reference: str, institute: str) -> sa.Select[Any]:
    """The deliveries with a message of this Referenz.

    Of one institute each of its deliveries is looked at by the ledger's key; else the whole ledger is read.
    """
    if not institute:
        return sa.select(messages.c.delivery_id).where(messages.c.reference == reference)
    one = (
        sa.select(messages.c.delivery_id)
        .where(messages.c.delivery_id == deliveries.c.id, messages.c.reference == reference)
        .limit(1)  # there is one at most: this keeps the planner from reading all of them
        .lateral()
    )
    return (
        sa.select(one.c.delivery_id)
        .select_from(deliveries.join(one, sa.true()))
        .where(deliveries.c.institute == institute)
    )


def _rows(reference: str, institute: str) -> sa.Select[Any]:
    """Rejected rows, and accepted ones: by their message, too, since the row itself leaves by retention."""
    nothing = sa.literal("")
    rejected = sa.select(
        rejects.c.delivery_id,
        rejects.c.line,
        sa.literal("rejected").label("gate"),
        rejects.c.code,
        rejects.c.field,
        rejects.c.advice,
    ).where(rejects.c.reference == reference)
    rows = sa.select(delivery_rows.c.delivery_id, delivery_rows.c.line).where(delivery_rows.c.reference == reference)
    sent = _sent(reference, institute)
    kept, gone = rows.subquery(), sent.subquery()
    accepted = sa.select(
        sa.func.coalesce(kept.c.delivery_id, gone.c.delivery_id).label("delivery_id"),
        kept.c.line,
        sa.literal("accepted").label("gate"),
        nothing.label("code"),
        nothing.label("field"),
        nothing.label("advice"),
    ).select_from(kept.join(gone, kept.c.delivery_id == gone.c.delivery_id, full=True))
    judged = sa.union_all(rejected, accepted).subquery()
    wanted = (
        sa.select(
            judged,
            deliveries.c.institute,
            deliveries.c.order_number,
            deliveries.c.delivery_number,
            deliveries.c.period_start.label("period"),
            deliveries.c.state.label("delivery_state"),
            deliveries.c.loaded_at,
            releases.c.decision,
            releases.c.decided_at,
            sa.func.coalesce(files.c.file_name, "").label("file_name"),
            sa.func.coalesce(files.c.received_at, deliveries.c.created_at).label("received_at"),
            sa.literal(reference).label("reference"),
            messages.c.id.label("message"),
            messages.c.due_at,
            messages.c.last_day,
            messages.c.state,
            messages.c.reason,
            messages.c.reasons,
            messages.c.medium,
            messages.c.attempts,
            messages.c.message_id,
            messages.c.answer,
            messages.c.retry_at,
            messages.c.claimed_at,
            messages.c.begun_at,
            messages.c.ended_at,
            prepared_files.c.file_name.label("prepared_file"),
            prepared_files.c.last_day.label("fetch_until"),
        )
        .join(deliveries, deliveries.c.id == judged.c.delivery_id)
        .outerjoin(files, files.c.id == deliveries.c.file_id)
        .outerjoin(releases, releases.c.delivery_id == deliveries.c.id)
        .outerjoin(
            messages,
            (messages.c.delivery_id == judged.c.delivery_id)
            & (messages.c.reference == reference)
            & (judged.c.gate == "accepted"),
        )
        .outerjoin(prepared_files, prepared_files.c.id == _newest_file())
        .order_by(deliveries.c.institute, deliveries.c.id, judged.c.line)
    )
    return wanted.where(deliveries.c.institute == institute) if institute else wanted


def _newest_file() -> sa.ScalarSelect[int]:
    """The newest prepared file that the message stands in: what all channels do is told anew each day."""
    of = prepared_rows.c
    return (
        sa.select(sa.func.max(of.file_id)).where(of.message_id == messages.c.id).correlate(messages).scalar_subquery()
    )


def _fate(connection: sa.Connection, row: sa.Row[Any]) -> Trace:
    return Trace(
        institute=row.institute,
        reference=row.reference,
        file_name=row.file_name,
        line=row.line,
        received_at=row.received_at,
        order=row.order_number,
        delivery=row.delivery_id,
        delivery_number=row.delivery_number,
        period=row.period,
        delivery_state=row.delivery_state,
        decision=row.decision or "",
        decided_at=row.decided_at,
        loaded_at=row.loaded_at,
        gate=row.gate,
        code=row.code,
        field=row.field,
        advice=row.advice,
        message=row.message,
        due_at=row.due_at,
        last_day=row.last_day,
        state=row.state or "",
        reason=row.reason or "",
        reasons=tuple(row.reasons or ()),
        medium=row.medium or "",
        attempts=row.attempts,
        message_id=row.message_id or "",
        answer=row.answer or "",
        retry_at=row.retry_at,
        claimed_at=row.claimed_at,
        begun_at=row.begun_at,
        ended_at=row.ended_at,
        prepared_file=row.prepared_file or "",
        fetch_until=row.fetch_until,
        events=_events(connection, row.message),
        by_machines=_by_machines(connection, row.message),
        by_hand=_by_hand(connection, row.institute, row.reference),
        mails=_mails(connection, row.message),
    )


def _by_machines(connection: sa.Connection, message: int | None) -> list[dict[str, Any]]:
    told = (
        sa.select(hits.c.kind, hits.c.at, hits.c.link_number, hits.c.rule)
        .where(hits.c.message_id == message, hits.c.verdict == HitVerdict.MACHINE)
        .order_by(hits.c.at, hits.c.id)
    )
    return [dict(row) for row in connection.execute(told).mappings()] if message is not None else []


def _by_hand(connection: sa.Connection, institute: str, reference: str) -> list[dict[str, Any]]:
    told = (
        sa.select(audit.c.at, audit.c.action, audit.c.note)
        .where(audit.c.institute == institute, audit.c.subject == reference)
        .order_by(audit.c.at, audit.c.id)
    )
    return [dict(row) for row in connection.execute(told).mappings()]


def _events(connection: sa.Connection, message: int | None) -> list[dict[str, Any]]:
    told = (
        sa.select(
            responses.c.kind,
            responses.c.at,
            responses.c.reason,
            responses.c.scope,
            responses.c.link_number,
            responses.c.link_target,
            responses.c.bounce_series,
            feedback_files.c.number.label("response_file"),
            feedback_files.c.file_name,
            feedback_files.c.stamped_at,
            feedback_files.c.written_at,
        )
        .outerjoin(feedback_rows, feedback_rows.c.response_id == responses.c.id)
        .outerjoin(feedback_files, feedback_files.c.id == feedback_rows.c.file_id)
        .where(responses.c.message_id == message)
        .order_by(responses.c.at, responses.c.id)
    )
    return [dict(row) for row in connection.execute(told).mappings()] if message is not None else []


def _mails(connection: sa.Connection, message: int | None) -> list[dict[str, Any]]:
    c = return_mails.c
    told = (
        sa.select(c.mail, c.meaning, c.event, c.status, c.why, c.taken_at)
        .where(c.message_id == message)
        .order_by(c.taken_at, c.id)
    )
    return [dict(row) for row in connection.execute(told).mappings()] if message is not None else []
