"""Rows of a file merged into a table: what did not change is not written, and everything is counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from reku.store.bulk import copy_rows


@dataclass(frozen=True)
class Changes:
    """What a file changed of people, contracts, appointments or impulses: before + added - gone = after."""

    before: int
    added: int
    changed: int
    gone: int
    after: int


def stage(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> sa.Table:
    """Rows (values in the order of `columns`) in a temporary table that lives as long as the transaction."""
    staged = staging_table(connection, table, columns)
    copy_rows(connection, staged, columns, rows)
    analyze(connection, staged)
    return staged


def staging_table(connection: sa.Connection, table: sa.Table, columns: Sequence[str]) -> sa.Table:
    """An empty one for rows that come piece by piece; `analyze` it when it is full.

    Until the transaction ends no statement joins row by row: the server may take a table for empty that is not, or
    that its own INSERT is filling, and would read all of it for each row (600,000 contracts: for hours).
    """
    connection.execute(sa.text("SET LOCAL enable_nestloop = off"))
    staged = sa.Table(
        f"staged_{table.name}",
        sa.MetaData(),
        *(sa.Column(name, table.c[name].type) for name in columns),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )
    staged.create(connection)
    return staged


def analyze(connection: sa.Connection, staged: sa.Table) -> None:
    """Let the server know what a staging table holds, before it is merged."""
    connection.execute(sa.text(f"ANALYZE {staged.name}"))


def count(connection: sa.Connection, table: sa.Table, institute: str) -> int:
    """How many rows of a bank a table has."""
    number: int = connection.execute(
        sa.select(sa.func.count()).select_from(table).where(table.c.institute == institute)
    ).scalar_one()
    return number


def update_changed(
    connection: sa.Connection, table: sa.Table, staged: sa.Table, *, newer: sa.ColumnElement[bool] | None = None
) -> int:
    """Rewrite the rows that differ from the staged ones, `newer` permitting. Returns how many."""
    others = [column.name for column in staged.columns if not table.c[column.name].primary_key]
    differs = sa.tuple_(*(table.c[name] for name in others)).is_distinct_from(
        sa.tuple_(*(staged.c[name] for name in others))
    )
    wanted = [differs] if newer is None else [differs, newer]
    return connection.execute(
        sa.update(table).where(same_key(table, staged), *wanted).values({name: staged.c[name] for name in others})
    ).rowcount


def add_new(connection: sa.Connection, table: sa.Table, staged: sa.Table) -> int:
    """Add the staged rows whose key the table lacks. Returns how many."""
    names = [column.name for column in staged.columns]
    new = sa.select(*staged.columns).where(~sa.exists().where(same_key(table, staged)))
    # an INSERT keeps its count only when asked to
    return connection.execute(
        sa.insert(table).from_select(names, new), execution_options={"preserve_rowcount": True}
    ).rowcount


def remove_missing(
    connection: sa.Connection, table: sa.Table, staged: sa.Table, institute: str, *which: sa.ColumnElement[bool]
) -> int:
    """Remove the bank's rows (those for which `which` holds) that the staged ones lack. Returns how many."""
    lacking = ~sa.exists().where(same_key(table, staged))
    return connection.execute(sa.delete(table).where(table.c.institute == institute, lacking, *which)).rowcount


def same_key(table: sa.Table, staged: sa.Table) -> sa.ColumnElement[bool]:
    """That a row and a staged row have the same primary key."""
    return sa.and_(*(column == staged.c[column.name] for column in table.primary_key.columns))
