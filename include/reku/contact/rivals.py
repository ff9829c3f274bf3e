"""Which of two campaigns writes to a person on a day: the more important one, else the one that was due first.

Only active media compete (domain.md 6). A rival that was handed over already is no rival any more but a contact with a
blocking period.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from reku.catalogue import occasions
from reku.contact.policy import Policy

LOWEST_PRIORITY = 9
"""Of an occasion that has lost its file."""

_RIVALS = sa.text("""
    WITH campaigns AS (
        SELECT * FROM unnest(CAST(:orders AS text[]), CAST(:media AS text[]), CAST(:mandatory AS boolean[]))
            AS c(order_number, medium, mandatory)
    ), active AS (
        SELECT m.id, m.institute, m.person_number, m.order_id, o.occasion, m.due_at,
            CAST(timezone('Europe/Berlin', m.due_at) AS date) AS due_on, c.mandatory
        FROM reku.messages m
        JOIN reku.orders o ON o.id = m.order_id
        JOIN campaigns c ON c.order_number = o.order_number
        LEFT JOIN reku.delivery_rows r ON r.id = m.row_id
        WHERE m.institute = :institute AND m.state = 'OPEN'
            AND m.person_number IN (SELECT asked.person_number FROM reku.messages asked WHERE asked.id = ANY(:ids))
            AND coalesce(nullif(r.fields ->> 'Content_Schluessel', ''), c.medium) = ANY(CAST(:active AS text[]))
            AND NOT EXISTS (
                SELECT FROM reku.stops s
                WHERE s.lifted_at IS NULL AND coalesce(s.institute, m.institute) = m.institute
                    AND coalesce(s.order_number, o.order_number) = o.order_number
            )
    )
    SELECT mine.id, mine.occasion, mine.due_at,
        rival.id AS rival, rival.occasion AS rivals_occasion, rival.due_at AS rivals_due_at
    FROM active mine
    JOIN active rival ON rival.person_number = mine.person_number AND rival.order_id <> mine.order_id
        AND rival.due_on = mine.due_on
    WHERE mine.id = ANY(:ids) AND NOT mine.mandatory
""")


def rivals_of(connection: sa.Connection, policy: Policy, ids: Sequence[int]) -> dict[int, set[int]]:
    """For messages with active media: the open ones of other orders, due on the same day, that go before them."""
    if not ids:
        return {}
    active = list(policy.rules.blocking_days)
    given = {"ids": list(ids), "institute": policy.institute, "active": active} | policy.campaign_arrays()
    better: defaultdict[int, set[int]] = defaultdict(set)
    for row in connection.execute(_RIVALS, given):
        mine = (_priority(row.occasion), row.due_at, row.id)
        if (_priority(row.rivals_occasion), row.rivals_due_at, row.rival) < mine:
            better[row.id].add(row.rival)
    return dict(better)


def _priority(occasion: str) -> int:
    known = occasions().whole.get(occasion)
    return LOWEST_PRIORITY if known is None else known.priority
