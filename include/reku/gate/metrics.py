"""What a delivery looks like as a whole: a few counts and shares, without anybody's data (table `metrics`).

They are measured once, with the rows that the gate accepts; `plausibility` holds them against those of earlier
deliveries, and reports show them.
"""

from __future__ import annotations

import sqlalchemy as sa

from reku.store.metric_names import (
    DAMAGED,
    IN_PREVIOUS,
    ROWS,
    SALUTATIONS,
    UNKNOWN_DOMAINS,
    WITHOUT_CONSENT,
    salutation,
)
from reku.store.states import COUNTS_AS_PREVIOUS
from reku.store.tables import deliveries, delivery_rows, messages, metrics

# The tables hold fresh rows that the planner knows nothing of. A join might be planned for one row and carried out for
# a hundred thousand; grouping what both sides have takes the same time in any case.
_DOMAINS = sa.text("""
    SELECT coalesce(sum(here) FILTER (WHERE NOT known), 0)
    FROM (
        SELECT sum(here) AS here, bool_or(known) AS known
        FROM (
            SELECT lower(split_part(address, '@', -1)) AS domain, count(*) AS here, false AS known
            FROM reku.delivery_rows WHERE delivery_id = :delivery GROUP BY 1
            UNION ALL
            SELECT DISTINCT lower(split_part(known.address, '@', -1)), 0, true
            FROM reku.lists JOIN reku.subscribers AS known ON known.list_id = lists.id
            WHERE lists.institute = :institute
        ) AS both_sides
        GROUP BY domain
    ) AS domains
""")

# Of the previous delivery both are looked at: its rows leave by retention right after sending, and before it is loaded
# it has no messages.
_RETURNING = sa.text("""
    SELECT coalesce(sum(here) FILTER (WHERE before), 0)
    FROM (
        SELECT sum(here) AS here, bool_or(before) AS before
        FROM (
            SELECT person_number, count(*) AS here, false AS before
            FROM reku.delivery_rows WHERE delivery_id = :delivery GROUP BY 1
            UNION ALL
            SELECT person_number, 0, true FROM reku.delivery_rows WHERE delivery_id = :previous
            UNION ALL
            SELECT person_number, 0, true FROM reku.messages WHERE delivery_id = :previous
        ) AS both_deliveries
        GROUP BY person_number
    ) AS persons
""")


def measure(connection: sa.Connection, delivery_id: int, damaged: int = 0) -> None:
    """Write the metrics of a delivery whose rows were just accepted, in the caller's transaction.

    `rows`: all rows of the delivery. The others are shares (0 to 1) of the accepted ones: `salutation_1` to
    `salutation_4`; `without_consent` to mails; `unknown_domains`, that no subscriber of the institute has so far;
    `in_previous`, whose person stood in the order's previous delivery. A delivery without accepted rows has `rows`
    only, and the first one of its order, or one whose previous has left by retention, no `in_previous`.

    `damaged`: how many rows, rejected or not, have texts that were damaged on their way; if there are any, the metric
    `damaged` is their share of all.
    """
    delivery = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).one()
    values = {ROWS: float(delivery.rows)}
    if delivery.accepted:
        values |= _shares(connection, delivery)
    if damaged:
        values[DAMAGED] = damaged / delivery.rows
    connection.execute(
        sa.insert(metrics),
        [
            {"delivery_id": delivery_id, "institute": delivery.institute, "name": name, "value": value}
            for name, value in values.items()
        ],
    )


def _shares(connection: sa.Connection, delivery: sa.Row[*tuple[object, ...]]) -> dict[str, float]:
    of = delivery_rows.c
    rows = connection.execute(
        sa.select(of.salutation, of.consent, sa.func.count().label("rows"))
        .where(of.delivery_id == delivery.id)
        .group_by(of.salutation, of.consent)
    ).all()
    counts = {salutation(value): sum(row.rows for row in rows if row.salutation == value) for value in SALUTATIONS}
    counts[WITHOUT_CONSENT] = sum(row.rows for row in rows if not row.consent)
    arguments = {"delivery": delivery.id, "institute": delivery.institute}
    counts[UNKNOWN_DOMAINS] = connection.scalar(_DOMAINS, arguments)
    previous = _previous(connection, delivery)
    if previous is not None:
        counts[IN_PREVIOUS] = connection.scalar(_RETURNING, arguments | {"previous": previous})
    return {name: float(count) / delivery.accepted for name, count in counts.items()}


def _previous(connection: sa.Connection, delivery: sa.Row[*tuple[object, ...]]) -> int | None:
    """The order's last delivery before this one that brought people and was not declined, if they are still known.

    A declined one is left out: what comes in its place brings the same people.
    """
    of = deliveries.c
    previous: int | None = connection.scalar(
        sa.select(of.id)
        .where(of.order_id == delivery.order_id, of.delivery_number < delivery.delivery_number)
        .where(of.state.in_(COUNTS_AS_PREVIOUS), of.accepted > 0)
        .order_by(of.delivery_number.desc())
        .limit(1)
    )
    if previous is None:
        return None
    rows = sa.exists().where(delivery_rows.c.delivery_id == previous)
    mails = sa.exists().where(messages.c.delivery_id == previous)
    return previous if connection.scalar(sa.select(rows | mails)) else None
