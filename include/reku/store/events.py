"""Events: everything to be reported about a message is written here, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa

from reku.foundation import clock
from reku.store.kinds import ResponseKind

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


_RECORD = sa.text("""
    WITH told AS (
        SELECT * FROM json_to_recordset(CAST(:told AS json)) AS t(
            message bigint, kind text, at timestamptz, moment text, reason text, scope text, link_number integer,
            link_target text, bounce_series integer
        )
    ), known AS (
        SELECT told.*, m.institute, m.order_id, concat_ws('|',
            d.kind, m.institute, o.order_number, lpad(CAST(m.delivery_number AS text), 6, '0'), m.reference,
            told.kind, told.moment, coalesce(CAST(told.link_number AS text), '')
        ) AS identity
        FROM told
        JOIN reku.messages m ON m.id = told.message
        JOIN reku.orders o ON o.id = m.order_id
        JOIN reku.deliveries d ON d.id = m.delivery_id
    ), new AS (
        INSERT INTO reku.responses (event_id, institute, message_id, order_id, kind, at, reason, scope, link_number,
            link_target, bounce_series, recorded_at)
        SELECT left(encode(sha256(convert_to(identity, 'UTF8')), 'hex'), 32), institute, message, order_id, kind, at,
            reason, scope, link_number, link_target, bounce_series, :noted
        FROM known
        ON CONFLICT (event_id) DO NOTHING
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM known) AS known, (SELECT count(*) FROM new) AS new
""")
"""What makes an event the same event is hashed to its id (docs/file-contracts.md, "Response files")."""


def record(connection: sa.Connection, events: Iterable[Event]) -> int:
    """Write events in the caller's transaction; one that is known already changes nothing.

    Returns how many were new. Raises ValueError for a message that does not exist.
    """
    wanted = list(events)
    if not wanted:
        return 0
    told = [vars(event) | {"moment": _moment(event)} for event in wanted]
    done = connection.execute(_RECORD, {"told": msgspec.json.encode(told).decode(), "noted": clock.now()}).one()
    if done.known != len(wanted):
        raise ValueError(f"{len(wanted) - done.known} events name messages that do not exist")
    return int(done.new)


def _moment(event: Event) -> str:
    """The moment as part of what makes the event unique; empty for what a message has only once."""
    return "" if event.kind in ONCE_PER_MESSAGE else event.at.astimezone(UTC).isoformat()
