"""Bars that people set themselves: whoever unsubscribes or complains gets no more mails.

What an unsubscribe means: docs/domain.md, "Unsubscribing with one click".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.foundation import clock
from reku.store.kinds import SuppressionKind, SuppressionSource, UnsubscribedFrom
from reku.store.tables import suppressions

_BAR = sa.text("""
    INSERT INTO reku.suppressions (institute, kind, recipient_key, person_number, order_id, source, since)
    SELECT DISTINCT ON (m.institute, m.recipient_key, m.person_number, barred_order)
        m.institute, 'UNSUBSCRIBED', m.recipient_key, m.person_number,
        CASE WHEN t.of_order THEN m.order_id END AS barred_order, t.source, coalesce(r.at, :since)
    FROM json_to_recordset(CAST(:told AS json)) AS t(message bigint, source text, of_order boolean)
    JOIN (
        SELECT id, institute, order_id, recipient_key, person_number FROM reku.messages
        UNION ALL SELECT id, institute, order_id, recipient_key, '' FROM reku.past_messages
    ) AS m ON m.id = t.message
    LEFT JOIN reku.responses r ON r.message_id = t.message AND r.kind = 'UNSUBSCRIBED'
    ORDER BY m.institute, m.recipient_key, m.person_number, barred_order
    ON CONFLICT DO NOTHING
""")
"""In an order of its own, so that two trackers that bar the same people wait for one another in turn. What somebody
unsubscribes from later by the same mail counts from the first time: so both can be taken back together.
"""


def bar_unsubscribed(
    connection: sa.Connection, wishes: Mapping[int, tuple[str, UnsubscribedFrom]], since: datetime
) -> None:
    """Bar the people of these messages (id → a SuppressionSource, and from what); once more changes nothing."""
    told = [
        {"message": id_, "source": source, "of_order": scope is UnsubscribedFrom.ORDER}
        for id_, (source, scope) in wishes.items()
    ]
    if told:
        connection.execute(_BAR, {"told": msgspec.json.encode(told).decode(), "since": since})


def bar_complained(connection: sa.Connection, about: Sequence[Any]) -> None:
    """Bar the people of these messages: rows with institute, recipient_key and person_number."""
    rows = [
        {
            "institute": message.institute,
            "kind": SuppressionKind.COMPLAINED,
            "recipient_key": message.recipient_key,
            "person_number": message.person_number,
            "source": SuppressionSource.COMPLAINT,
            "since": clock.now(),
        }
        for message in about
    ]
    if rows:
        connection.execute(insert(suppressions).values(rows).on_conflict_do_nothing())
