"""Fill a list on with the people of a delivery: newcomers are added, changes are written, nobody is removed.

A person of whom a delivery says nothing new is not written again: most of a list is the same in every delivery, and
rewriting it would cost more than all the rest. That such a delivery brought the person is known from the ledger, which
has a message for each of its rows; `_CATCH_UP` takes it from there when an older delivery comes later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from reku.catalogue import institutes
from reku.records import contracts
from reku.store.bulk import copy_rows

_BATCH = 5_000

_TWICE = sa.text("""
    SELECT person_number FROM reku.delivery_rows WHERE delivery_id = :delivery_id
    GROUP BY person_number HAVING count(*) > 1
""")

_OUTDONE = sa.text("""
    SELECT id
    FROM (
        SELECT id, lead(id) OVER (PARTITION BY person_number ORDER BY line) AS next
        FROM reku.delivery_rows WHERE delivery_id = :delivery_id AND person_number = ANY(:twice)
    ) AS rows_of_a_person
    WHERE next IS NOT NULL
""")
"""Rows behind which the same person comes once more."""

_LATER = sa.text("""
    SELECT id FROM reku.deliveries
    WHERE order_id = :order_id AND list_id = :list_id AND delivery_number > :delivery_number
""")
"""Deliveries of a higher number that were loaded into this list already."""

_CATCH_UP = sa.text("""
    UPDATE reku.subscribers AS known SET delivery_number = later.delivery_number
    FROM (
        SELECT person_number, max(delivery_number) AS delivery_number
        FROM reku.messages WHERE delivery_id = ANY(CAST(:later AS bigint[])) GROUP BY person_number
    ) AS later
    WHERE known.list_id = :list_id AND known.person_number = later.person_number
        AND known.delivery_number < later.delivery_number
""")
"""Of the people whom later deliveries brought without a change, write down that they did."""

_WHOLE = sa.text("""
    SELECT set_config('enable_nestloop', 'off', true), set_config('enable_mergejoin', 'off', true),
        set_config('work_mem', '64MB', true)
""")
"""A whole delivery meets a whole list, which is work for a hash join.

Left to itself PostgreSQL plans by statistics from before the delivery, and may look through the list for each row,
those included that are just being added.
"""

_AS_BEFORE = sa.text("""
    SELECT set_config('enable_nestloop', NULL, true), set_config('enable_mergejoin', NULL, true),
        set_config('work_mem', NULL, true)
""")

# Bytes are compared, not values: JSONB takes a multiple of the time for the same answer.
_DIFFERENT = """
    SELECT brought.person_number, brought.address, {listed} AS fields,
        known.address AS known_address, known.fields AS known_fields
    FROM reku.delivery_rows AS brought JOIN reku.subscribers AS known
        ON known.list_id = :list_id AND known.person_number = brought.person_number
    WHERE brought.delivery_id = :delivery_id AND brought.id <> ALL(CAST(:outdone AS bigint[]))
        AND known.delivery_number <= :delivery_number
        AND record_image_ne(ROW(known.address, known.fields), ROW(brought.address, {listed}))
"""
"""People of the list of whom the delivery says something else, be it an empty value where another is stored."""

_CHANGES = sa.Table(
    "changes",
    sa.MetaData(),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("fields", JSONB, nullable=False),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)

_CHANGE = sa.text("""
    INSERT INTO reku.subscribers (institute, list_id, person_number, address, fields, delivery_number, updated_at)
    SELECT :institute, :list_id, person_number, address, fields, :delivery_number, :now FROM changes
    ON CONFLICT (list_id, person_number) DO UPDATE SET
        address = EXCLUDED.address,
        fields = EXCLUDED.fields,
        delivery_number = EXCLUDED.delivery_number,
        updated_at = EXCLUDED.updated_at
""")

_ADD = """
    INSERT INTO reku.subscribers (institute, list_id, person_number, address, fields, delivery_number, updated_at)
    SELECT institute, :list_id, person_number, address, {listed}, :delivery_number, :now
    FROM reku.delivery_rows AS brought
    WHERE delivery_id = :delivery_id AND id <> ALL(CAST(:outdone AS bigint[])) AND NOT EXISTS (
        SELECT FROM reku.subscribers AS known
        WHERE known.list_id = :list_id AND known.person_number = brought.person_number
    )
"""


def fill_list(connection: sa.Connection, delivery: sa.Row[Any], list_id: int, now: datetime) -> int:
    """Add and change the people of a delivery; returns how many of the list's people are new or changed.

    A person who stands in the delivery twice is taken from the last row. Only a delivery number not lower than the
    last one that brought a person changes it. Kept are the columns that the contract calls `listed`: all others leave
    with the delivered rows, soon after the mail. An empty value leaves a stored one alone, unless the institute
    lists the field in `overwrite_empty`. The caller has locked the list: nobody else fills it meanwhile.
    """
    connection.execute(_WHOLE)
    listed, names = _listed(contracts()[delivery.contract].listed)
    given = {
        "institute": delivery.institute,
        "order_id": delivery.order_id,
        "list_id": list_id,
        "delivery_id": delivery.id,
        "delivery_number": delivery.delivery_number,
        "outdone": _outdone(connection, delivery.id),
        "now": now,
        **names,
    }
    if later := list(connection.scalars(_LATER, given)):
        connection.execute(_CATCH_UP, given | {"later": later})
    changed = _change(connection, given, listed)
    added = connection.execute(sa.text(_ADD.format(listed=listed)), given).rowcount
    connection.execute(_AS_BEFORE)
    return changed + added


def _listed(names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """What of a row's fields stays on a list, as an expression, and its parameters."""
    pairs = ", ".join(f"CAST(:name_{n} AS text), brought.fields -> CAST(:name_{n} AS text)" for n in range(len(names)))
    return f"jsonb_strip_nulls(jsonb_build_object({pairs}))", {f"name_{n}": name for n, name in enumerate(names)}


def _outdone(connection: sa.Connection, delivery_id: int) -> list[int]:
    twice = list(connection.scalars(_TWICE, {"delivery_id": delivery_id}))
    return list(connection.scalars(_OUTDONE, {"delivery_id": delivery_id, "twice": twice})) if twice else []


def _change(connection: sa.Connection, given: Mapping[str, Any], listed: str) -> int:
    institute = institutes().get(given["institute"])
    overwrite_empty = frozenset() if institute is None else frozenset(institute.overwrite_empty)
    _CHANGES.create(connection)
    names = [column.name for column in _CHANGES.columns]
    written = 0
    wanted = sa.text(_DIFFERENT.format(listed=listed))
    with connection.execute(wanted, given, execution_options={"yield_per": _BATCH}) as different:
        for batch in different.partitions():
            written += copy_rows(connection, _CHANGES, names, _merged(batch, overwrite_empty))
    connection.execute(_CHANGE, given)
    return written


def _merged(rows: Iterable[sa.Row[Any]], overwrite_empty: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """What is to be stored of each person; those of whom nothing changes after all are left out."""
    for row in rows:
        told = {name: value for name, value in row.fields.items() if value or name in overwrite_empty}
        if row.address != row.known_address or not told.items() <= row.known_fields.items():
            yield row.person_number, row.address, msgspec.json.encode(row.known_fields | told).decode()
