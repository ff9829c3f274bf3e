"""What EMMA says became of messages that it has in hand, put into the ledger with the events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import sqlalchemy as sa

from reku.contact.reasons import Reason
from reku.privacy.prepared_files import erase_file
from reku.store.events import Event, record
from reku.store.kinds import EventKind
from reku.store.states import with_states
from reku.vault.sealed_rows import forget_rows

REASONS: Mapping[str, Reason] = {
    "blacklist": Reason.BLACKLIST,
    "exclusion": Reason.BLACKLIST,
    "complaint": Reason.BESCHWERDELISTE,
    "retained": Reason.ZURUECKGEHALTEN,
    "optout": Reason.ABGEMELDET,
    "invalid_address": Reason.ADRESSE_UNGUELTIG,
}
"""Why EMMA sends nothing to somebody, in our words."""


def reason_of(raw: str) -> Reason:
    """Our word for a reason of EMMA's; one that nobody knows has one of its own, and stands raw beside."""
    return REASONS.get(raw, Reason.VERSANDSYSTEM)


@dataclass(frozen=True)
class Withheld:
    """A message that EMMA, or we at the last moment, did not send. `raw`: EMMA's word, empty for ours."""

    message: int
    reason: Reason
    at: datetime
    raw: str = ""


_SENT = with_states("""
    UPDATE reku.messages m SET state = 'SENT', begun_at = told.at, ended_at = told.at, attempts = m.attempts + 1
    FROM json_to_recordset(CAST(:told AS json)) AS told(id bigint, at timestamptz)
    WHERE m.id = told.id AND CASE WHEN m.state IN {IS_SENT_WITH_ITS_FILE} THEN true ELSE false END
    RETURNING m.id, m.row_id, m.ended_at
""")
_WITHHELD = with_states("""
    UPDATE reku.messages m SET state = 'WITHHELD', reason = told.reason, reasons = ARRAY[told.reason],
        answer = told.raw, ended_at = told.at
    FROM json_to_recordset(CAST(:told AS json)) AS told(id bigint, at timestamptz, reason text, raw text)
    WHERE m.id = told.id AND CASE WHEN m.state IN {IS_SENT_WITH_ITS_FILE} THEN true ELSE false END
    RETURNING m.id, m.row_id, m.reason, m.ended_at
""")


def record_sent(connection: sa.Connection, sent: Mapping[int, datetime]) -> int:
    """End messages as sent, at EMMA's moments. What has ended otherwise is left alone. Returns how many were new."""
    if not sent:
        return 0
    told = [{"id": message, "at": at} for message, at in sent.items()]
    rows = connection.execute(_SENT, {"told": msgspec.json.encode(told).decode()}).all()
    record(connection, [Event(row.id, EventKind.SENT, row.ended_at) for row in rows])
    forget_rows(connection, [row.row_id for row in rows if row.row_id is not None])
    return len(rows)


def record_withheld(connection: sa.Connection, withheld: Sequence[Withheld]) -> int:
    """End messages as withheld, with their events. Returns how many were new."""
    if not withheld:
        return 0
    told = [
        {"id": one.message, "at": one.at, "reason": one.reason.value, "raw": f"EMMA: {one.raw}" if one.raw else ""}
        for one in withheld
    ]
    rows = connection.execute(_WITHHELD, {"told": msgspec.json.encode(told).decode()}).all()
    reasons = {row.id: Reason(row.reason) for row in rows}
    record(connection, [Event(row.id, reasons[row.id].event, row.ended_at, reasons[row.id].code) for row in rows])
    forget_rows(connection, [row.row_id for row in rows if row.row_id is not None])
    return len(rows)


_ENDED_FILES = with_states("""
    UPDATE reku.prepared_files f SET acknowledged_at = :moment
    WHERE f.institute = :institute AND f.kind = 'EMMA' AND f.fetched_at IS NOT NULL AND f.acknowledged_at IS NULL
        AND NOT EXISTS (
            SELECT FROM reku.prepared_rows r JOIN reku.messages m ON m.id = r.message_id
            WHERE r.file_id = f.id AND m.state IN {IS_SENT_WITH_ITS_FILE}
        )
    RETURNING f.id
""")


def end_files(connection: sa.Connection, institute: str, moment: datetime) -> list[int]:
    """Note which of a bank's imports have come to their end: no message of theirs waits any more. Their places go."""
    ended = list(connection.scalars(_ENDED_FILES, {"institute": institute, "moment": moment}))
    for file in ended:
        erase_file(connection, file, moment)
    return ended
