"""Rewriting what holds pseudonyms of one key so that it holds those of the next one: columns, fields, sealed texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from reku.store.bulk import copy_rows
from reku.store.tables import metadata
from reku.vault.day_keys import seals
from reku.vault.pseudonyms import KeyInUse, NumberKind

_NAMES = ("person_number", "household", "contract_number")
"""What columns are called that hold a pseudonym."""
_FIELDS = "fields"
"""What columns are called that hold delivered fields by name: a number may be among them."""
_SEALED = "sealed"
"""What columns are called that are sealed for the person of the row, with the data key that `data_key_id` names."""
_AT_ONCE = 20_000
"""Rows in memory."""


class Renewal:
    """Old pseudonyms → new ones; whatever else there is stays."""

    def __init__(self, old: KeyInUse, new: KeyInUse) -> None:
        self._new = new
        self.pattern = rf"[{''.join(NumberKind)}]{old.version}\.[0-9a-f]{{32}}"
        self._whole = re.compile(self.pattern)
        self._quoted = re.compile(rf'(?<="){self.pattern}(?=")')

    def of(self, text: str) -> str:
        """The new pseudonym, if the text is an old one; else the text."""
        return self._new.pseudonym(NumberKind(text[0]), text) if self._whole.fullmatch(text) else text

    def within(self, json: str) -> str:
        """The JSON text with each value renewed that is an old pseudonym."""
        return self._quoted.sub(lambda found: self.of(found[0]), json)


def pseudonym_tables() -> list[sa.Table]:
    """The tables that hold pseudonyms."""
    return [table for table in metadata.sorted_tables if pseudonym_columns(table)]


def pseudonym_columns(table: sa.Table) -> list[str]:
    """The columns of a table that hold pseudonyms, as they are or within."""
    return [name for name in (*_NAMES, _FIELDS, _SEALED) if name in table.columns]


def rewrite(connection: sa.Connection, table: sa.Table, institute: str, renewal: Renewal) -> int:
    """Rewrite a table's rows of the bank. Returns how many rows were."""
    # What is sealed opens with the old pseudonym only, so it comes before the columns.
    done = [
        rewrite_column(connection, table, institute, renewal)
        for name, rewrite_column in ((_SEALED, _rewrite_sealed), (_FIELDS, _rewrite_fields))
        if name in table.columns
    ]
    done += [_rewrite_names(connection, table.c[name], institute, renewal) for name in _NAMES if name in table.columns]
    return max(done)


def _rewrite_names(connection: sa.Connection, column: sa.Column[Any], institute: str, renewal: Renewal) -> int:
    of_bank = column.table.c.institute == institute
    old = sa.select(column).distinct().where(of_bank, column.regexp_match(f"^{renewal.pattern}$"))
    return _update(connection, [column], column, old, lambda rows: [(row[0], renewal.of(row[0])) for row in rows])


def _rewrite_fields(connection: sa.Connection, table: sa.Table, institute: str, renewal: Renewal) -> int:
    key, text = list(table.primary_key), sa.cast(table.c[_FIELDS], sa.Text)
    old = sa.select(*key, text).where(table.c.institute == institute, text.regexp_match(f'"{renewal.pattern}"'))
    return _update(
        connection, key, table.c[_FIELDS], old, lambda rows: [(*row[:-1], renewal.within(row[-1])) for row in rows]
    )


def _rewrite_sealed(connection: sa.Connection, table: sa.Table, institute: str, renewal: Renewal) -> int:
    key, sealed = list(table.primary_key), table.c[_SEALED]
    old = sa.select(*key, table.c.person_number.label("of"), table.c.data_key_id.label("by"), sealed).where(
        table.c.institute == institute, sealed.is_not(None)
    )

    def sealed_anew(rows: Sequence[sa.Row[Any]]) -> list[tuple[Any, ...]]:
        opened_by = seals(connection, {row.by for row in rows})
        return [
            (
                *row[: len(key)],
                seal.seal(renewal.of(row.of), renewal.within(seal.open(row.of, row.sealed).decode()).encode()),
            )
            for row in rows
            if (seal := opened_by.get(row.by)) is not None  # destroyed: nothing opens it any more
        ]

    return _update(connection, key, sealed, old, sealed_anew)


def _update(
    connection: sa.Connection,
    key: Sequence[sa.Column[Any]],
    column: sa.Column[Any],
    old: sa.Select[Any],
    renewed: Callable[[Sequence[sa.Row[Any]]], list[tuple[Any, ...]]],
) -> int:
    """Write into a column what `renewed` makes of the old rows: the values of `key`, then the column's. How many."""
    keys = [sa.Column(f"key_{one.name}", one.type) for one in key]
    new = sa.Column("new", column.type)
    anew = sa.Table("renewed", sa.MetaData(), *keys, new, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")
    anew.create(connection)
    names = [one.name for one in anew.columns]
    found = connection.execute(old, execution_options={"stream_results": True, "yield_per": _AT_ONCE})
    for part in found.partitions():
        copy_rows(connection, anew, names, renewed(part))
    connection.execute(sa.text("ANALYZE renewed"))
    same = [one == other for one, other in zip(key, keys, strict=True)]
    done = connection.execute(sa.update(column.table).where(*same).values({column: new})).rowcount
    anew.drop(connection)
    return done
