"""Candidates of a selection: people who have no message yet, laid beside the tables for the time of one question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import NamedTuple

import sqlalchemy as sa

from reku.store.bulk import copy_rows

FIRST_ID = 1 << 62
"""Of candidates: higher than that of any message, so that none is taken for one, and an open message goes first."""


class Candidate(NamedTuple):
    """A person's address to which a message may be opened for Anlass_Datum; due and last day as it would have them.

    `priority` is that of an impulse; None: its occasion's.
    """

    person_number: str
    recipient_key: str
    domain: str
    occasion_date: date
    due_at: datetime
    last_day: date
    priority: int | None = None


candidates = sa.Table(
    "candidates",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, nullable=False),
    sa.Column("institute", sa.CHAR(8), nullable=False),
    sa.Column("order_id", sa.BigInteger, nullable=False),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column("recipient_key", sa.CHAR(64), nullable=False),
    sa.Column("domain", sa.Text, nullable=False),
    sa.Column("occasion_date", sa.Date, nullable=False),
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("last_day", sa.Date, nullable=False),
    sa.Column("priority", sa.SmallInteger),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)


@contextmanager
def with_candidates(
    connection: sa.Connection, institute: str, order: int, people: Sequence[Candidate]
) -> Iterator[range]:
    """Have these people in the table of candidates; gives their ids, in their order."""
    ids = range(FIRST_ID, FIRST_ID + len(people))
    candidates.create(connection)
    rows = ((id_, institute, order, *one) for id_, one in zip(ids, people, strict=True))
    copy_rows(connection, candidates, [column.name for column in candidates.columns], rows)
    connection.execute(sa.text("ANALYZE candidates"))
    yield ids
    candidates.drop(connection)
