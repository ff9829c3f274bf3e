"""What is sealed leaves for good: its data key is destroyed with its last row, and the audit counts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from reku.store.audit import put_on_record
from reku.store.tables import delivery_rows
from reku.vault.day_keys import destroy_unused

ACTION = "erase rows"
BY_ITSELF = "reku"
"""Who has erased something, where nobody did it by hand."""


def end_seals(connection: sa.Connection, institute: str, *, subject: str, told: str, actor: str = BY_ITSELF) -> None:
    """Destroy a bank's data keys that seal nothing any more, and put on record what was erased (`told`, in numbers)."""
    destroyed = destroy_unused(connection, institute)
    note = f"{told}; {destroyed} data keys destroyed"
    put_on_record(connection, institute, actor=actor, action=ACTION, subject=subject, note=note)


@contextmanager
def erasure_on_record(
    connection: sa.Connection, institute: str, delivery: int, actor: str = BY_ITSELF
) -> Iterator[None]:
    """Put on record how many sealed rows of a delivery leave within, in the caller's transaction; if none, nothing."""
    before = _sealed_rows(connection, delivery)
    yield
    if erased := before and before - _sealed_rows(connection, delivery):
        told = f"{erased} of {before} rows erased"
        end_seals(connection, institute, subject=f"deliveries:{delivery}", told=told, actor=actor)


def _sealed_rows(connection: sa.Connection, delivery: int) -> int:
    of = delivery_rows.c
    counted = sa.select(sa.func.count()).where(of.delivery_id == delivery, of.data_key_id.is_not(None))
    return connection.scalar(counted) or 0
