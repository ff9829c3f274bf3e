"""Which of several campaigns writes to a person on a day: the most important one, else the one that is due first.

How important a mail is its row may say, as that of an impulse does; else its occasion does.

Only active media compete. A rival that was handed over already is no rival any more but a contact with a
blocking period.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import NamedTuple

import sqlalchemy as sa

from reku.catalogue import occasions
from reku.contact.policy import Policy
from reku.contact.statement import Asked


class Rival(NamedTuple):
    """An open message, or a candidate for one, that competes for its person on its day.

    The fields' order is the order of precedence.
    """

    priority: int
    due: float  # seconds since 1970
    id: int
    order: int
    mandatory: bool


_CONTESTED = """
    WITH campaigns AS (
        SELECT * FROM unnest(CAST(:orders AS text[]), CAST(:media AS text[]), CAST(:mandatory AS boolean[]))
            AS c(order_number, medium, mandatory)
    ), active AS (
        SELECT m.id, m.person_number, m.order_id, o.occasion, coalesce(r.priority, m.priority) AS priority,
            m.due_at, c.mandatory,
            CAST(timezone('Europe/Berlin', m.due_at) AS date) AS due_on
        FROM (
            SELECT m.id, m.institute, m.person_number, m.order_id, m.due_at, m.row_id,
                CAST(NULL AS smallint) AS priority
            FROM reku.messages m
            WHERE m.institute = :institute AND m.state = 'OPEN'
                AND m.person_number IN (
                    SELECT asked.person_number FROM {asked} asked WHERE asked.id = ANY(CAST(:ids AS bigint[]))
                )
            {candidates}
        ) AS m
        JOIN reku.orders o ON o.id = m.order_id
        JOIN campaigns c ON c.order_number = o.order_number
        LEFT JOIN reku.delivery_rows r ON r.id = m.row_id
        WHERE coalesce(r.content_key, c.medium) = ANY(CAST(:active AS text[]))
            AND o.occasion = ANY(CAST(:occasions AS text[]))
            AND NOT EXISTS (
                SELECT FROM reku.stops s
                WHERE s.lifted_at IS NULL AND coalesce(s.institute, m.institute) = m.institute
                    AND coalesce(s.order_number, o.order_number) = o.order_number
            )
    )
    SELECT * FROM (
        SELECT *, min(order_id) OVER one_day <> max(order_id) OVER one_day AS contested
        FROM active WINDOW one_day AS (PARTITION BY person_number, due_on)
    ) AS a
    WHERE contested ORDER BY person_number, due_on
"""
_CANDIDATES = """
            UNION ALL
            SELECT c.id, c.institute, c.person_number, c.order_id, c.due_at, NULL, c.priority
            FROM candidates c WHERE c.id = ANY(CAST(:ids AS bigint[]))
"""
_STATEMENTS = {
    asked: sa.text(_CONTESTED.format(asked=asked.value, candidates=_CANDIDATES if asked is Asked.CANDIDATES else ""))
    for asked in Asked
}


def contests(connection: sa.Connection, policy: Policy, asked: Asked, ids: Collection[int]) -> list[list[Rival]]:
    """The open messages of several orders with active media that are due to one person on one Berlin day.

    Candidates that are asked about are among them. One list for each such person (of those asked about) and day, the
    most important message first. What cannot be sent anyway is left out: campaigns that are switched off or not
    complete, stopped orders, occasions without a file.
    """
    known = occasions().whole
    given = {
        "ids": list(ids),
        "institute": policy.institute,
        "active": list(policy.rules.blocking_days),
        "occasions": list(known),
    }
    rows = connection.execute(_STATEMENTS[asked], given | policy.campaign_arrays())
    return [
        sorted(
            Rival(
                row.priority or known[row.occasion].priority,
                row.due_at.timestamp(),
                row.id,
                row.order_id,
                row.mandatory,
            )
            for row in group
        )
        for _, group in groupby(rows, key=lambda row: (row.person_number, row.due_on))
    ]


def kept_back(contests: Sequence[Sequence[Rival]], barred: Collection[int]) -> set[int]:
    """The messages before which another order's goes; `barred`: those that do not go out anyway.

    Whoever does not go out keeps nobody back. Mandatory campaigns are never kept back.
    """
    kept: set[int] = set()
    for contest in contests:
        going: set[int] = set()
        for one in contest:
            if not one.mandatory and going - {one.order}:
                kept.add(one.id)
            elif one.id not in barred:
                going.add(one.order)
    return kept
