"""Data keys: one for each bank, kind and day, wrapped in `data_keys`, destroyed with the last row that it seals.

A deleted row lives on in dead tuples, the write-ahead log and backups; one whose key is gone says nothing there either.
"""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.dialects.postgresql import insert

from reku.foundation import clock
from reku.store.kinds import SealedKind
from reku.store.tables import data_keys, metadata
from reku.vault.sealing import KEY_BITS, Seal
from reku.vault.wrapping import VaultKeys, vault_keys

_KEY_COLUMN = "data_key_id"
"""Tables with this column hold what is sealed."""


def seal_of_day(connection: sa.Connection, institute: str, kind: SealedKind, day: date) -> Seal:
    """The bank's seal of that kind and day, made if need be; nobody destroys it until the transaction ends.

    Raises SetupError, with nothing written, if there is no vault key, or none that opens it.
    """
    keys = vault_keys()
    connection.execute(
        insert(data_keys)
        .values(
            institute=institute,
            kind=kind,
            day=day,
            wrapped=keys.wrap(AESGCM.generate_key(KEY_BITS)),
            wrapped_by=keys.newest,
        )
        .on_conflict_do_nothing()
    )
    row = connection.execute(
        sa.select(data_keys)
        .where(data_keys.c.institute == institute, data_keys.c.kind == kind, data_keys.c.day == day)
        .where(data_keys.c.wrapped.is_not(None))
        .with_for_update(read=True, key_share=True)
    ).one()
    return _opened(row, keys)


def seals(connection: sa.Connection, ids: set[int]) -> dict[int, Seal]:
    """The seals with these ids, without those that are destroyed. Raises SetupError if one cannot be opened."""
    keys = vault_keys()
    rows = connection.execute(
        sa.select(data_keys).where(data_keys.c.id.in_(ids), data_keys.c.wrapped.is_not(None))
    ).all()
    return {row.id: _opened(row, keys) for row in rows}


def destroy_unused(connection: sa.Connection, institute: str) -> int:
    """Destroy the bank's data keys by which nothing is sealed any more. Returns how many.

    One that a running transaction has in hand stays.
    """
    free = (
        sa.select(data_keys.c.id)
        .where(data_keys.c.institute == institute, data_keys.c.wrapped.is_not(None))
        .with_for_update(skip_locked=True)
    )
    ids = connection.scalars(free).all()
    # Only a statement that begins after the lock sees what the last holder has sealed.
    unused = [data_keys.c.id.in_(ids), *(~_seals_a_row_of(table) for table in sealed_tables())]
    destroyed = connection.scalars(
        sa.update(data_keys).where(*unused).values(wrapped=None, destroyed_at=clock.now()).returning(data_keys.c.id)
    ).all()
    return len(destroyed)


def sealed_tables() -> list[sa.Table]:
    """The tables that hold something sealed."""
    return [table for table in metadata.sorted_tables if _KEY_COLUMN in table.columns]


def unwrapped(id_: int, institute: str, wrapped: bytes, wrapped_by: str) -> Seal:
    """The seal of a data key as it stands in the table. Raises SetupError if it cannot be opened."""
    return _unwrapped(vault_keys(), id_, institute, wrapped, wrapped_by)


def _seals_a_row_of(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.exists().where(table.c[_KEY_COLUMN] == data_keys.c.id)


def _opened(row: sa.Row[tuple[object, ...]], keys: VaultKeys) -> Seal:
    return _unwrapped(keys, row.id, row.institute, row.wrapped, row.wrapped_by)


def _unwrapped(keys: VaultKeys, id_: int, institute: str, wrapped: bytes, wrapped_by: str) -> Seal:
    return Seal(id_, institute, keys.unwrap(wrapped, f"{id_} of institute {institute}", wrapped_by))
