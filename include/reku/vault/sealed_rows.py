"""Rows of deliveries whose names and addresses are stored sealed: closed when they are written, open in memory only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from reku.foundation import addresses
from reku.foundation.errors import StageError
from reku.store.tables import delivery_rows
from reku.vault.day_keys import seals
from reku.vault.sealing import Seal


class Hidden(msgspec.Struct, frozen=True):
    """What is sealed of a row: its address, and fields by their names."""

    address: str
    fields: dict[str, str]


@dataclass(frozen=True)
class ClosedRow:
    """A row as it may be stored. `address`: @ and the domain, as mail servers write it; `fields`: those left open."""

    address: str
    fields: dict[str, str]
    sealed: bytes


def close(seal: Seal, person_number: str, address: str, fields: Mapping[str, str], names: Collection[str]) -> ClosedRow:
    """Seal the address of a person's row and the fields with these names. Raises ValueError for an invalid address.

    An empty address is one of a row that goes to none.
    """
    hidden = Hidden(address, {name: value for name, value in fields.items() if name in names})
    shown = f"@{addresses.normalise(address).rpartition('@')[2]}" if address else ""
    left = {name: value for name, value in fields.items() if name not in names}
    return ClosedRow(shown, left, seal.seal(person_number, msgspec.json.encode(hidden)))


def hidden_parts(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> list[Hidden | None]:
    """What is sealed of each of these rows of `delivery_rows` (person_number, data_key_id, sealed); None: nothing is.

    Raises SetupError if a key is missing or another one, StageError if one was destroyed or a row was changed.
    """
    ids = {row.data_key_id for row in rows if row.data_key_id is not None}
    if not ids:
        return [None] * len(rows)
    keys = seals(connection, ids)
    if lost := ids - keys.keys():
        raise StageError(
            f"The data keys {', '.join(map(str, sorted(lost)))} are destroyed, and what they sealed cannot be read any "
            "more. The next selection takes those of the people whose window is still open."
        )
    read = msgspec.json.Decoder(Hidden).decode
    return [
        None if row.data_key_id is None else read(keys[row.data_key_id].open(row.person_number, row.sealed))
        for row in rows
    ]


def forget_rows(connection: sa.Connection, ids: Collection[int]) -> None:
    """Let those of these rows of `delivery_rows` go that are sealed: their mails have ended."""
    connection.execute(
        sa.delete(delivery_rows).where(delivery_rows.c.id.in_(ids), delivery_rows.c.data_key_id.is_not(None))
    )
