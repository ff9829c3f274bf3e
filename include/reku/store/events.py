"""Events: everything to be reported about a message is written here, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec
import sqlalchemy as sa

from reku.foundation import clock
from reku.store.kinds import EventKind, UnsubscribedFrom


@dataclass(frozen=True)
class Event:
    """One thing that happened to a message (`message`: its id in the ledger)."""

    message: int
    kind: EventKind
    at: datetime
    reason: str = ""
    scope: UnsubscribedFrom | None = None
    link_number: int | None = None
    link_target: str = ""
    bounce_series: int | None = None


_RECORD = sa.text("""
    WITH told AS (
        SELECT t.*, m.institute, m.order_id
        FROM json_to_recordset(CAST(:told AS json)) AS t(
            message bigint, kind text, at timestamptz, reason text, scope text, link_number integer, link_target text,
            bounce_series integer
        )
        JOIN reku.messages m ON m.id = t.message
    ), new AS (
        INSERT INTO reku.responses (institute, message_id, order_id, kind, at, reason, scope, link_number, link_target,
            bounce_series, recorded_at)
        SELECT institute, message, order_id, kind, at, reason, scope, link_number, link_target, bounce_series, :noted
        FROM told
        ON CONFLICT DO NOTHING -- uq_responses_event
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM told) AS known, (SELECT count(*) FROM new) AS new
""")


def record(connection: sa.Connection, events: Iterable[Event]) -> int:
    """Write events in the caller's transaction; one that is known already changes nothing.

    Of a kind that may happen many times (`MANY_OF_A_MESSAGE`) moment and link tell one from another; of any other a
    message has one, whenever it is noticed. Returns how many were new. Raises ValueError for a message that does not
    exist.
    """
    wanted = list(events)
    if not wanted:
        return 0
    told = msgspec.json.encode([vars(event) for event in wanted]).decode()
    done = connection.execute(_RECORD, {"told": told, "noted": clock.now()}).one()
    if done.known != len(wanted):
        raise ValueError(f"{len(wanted) - done.known} events name messages that do not exist")
    return int(done.new)
