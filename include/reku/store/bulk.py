"""Many rows at once: PostgreSQL's COPY in the caller's transaction."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

if TYPE_CHECKING:
    import pyarrow as pa


def copy_rows(connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Append `rows` (values in the order of `columns`) to a table.

    Runs in the caller's transaction and reads `rows` one by one, so that they need not fit into memory. JSONB columns
    take the JSON text. Returns how many rows were written.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(*filter(None, (table.schema, table.name))), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    written = 0
    with _driver(connection).cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
            written += 1
    return written


def copy_arrow(connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
    """Append the rows of an Arrow table, whose columns are named as the table's, in the caller's transaction.

    Five times as fast as `copy_rows`, for texts, numbers and days.
    """
    from pyarrow import csv

    lines = io.BytesIO()
    csv.write_csv(rows, lines, csv.WriteOptions(include_header=False))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(*filter(None, (table.schema, table.name))),
        sql.SQL(", ").join(map(sql.Identifier, rows.column_names)),
    )
    with _driver(connection).cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(lines.getbuffer())


def copy_csv(
    connection: sa.Connection, wanted: sa.Select[Any], *, delimiter: str, batch: int = 4096
) -> Generator[list[bytes]]:
    """The rows of a select as lines of CSV in UTF-8, closed by a line feed and quoted where needed, so many at a time.

    A NULL shows as a control character, so that it is not taken for an empty text. Read as needed from the caller's
    transaction, which can do nothing else until the last row, or until this is closed.
    """
    compiled = wanted.compile(connection, compile_kwargs={"render_postcompile": True})
    options = f"FORMAT csv, DELIMITER '{delimiter}', NULL '\x01', ENCODING 'UTF8'"
    with (
        _driver(connection).cursor() as cursor,
        cursor.copy(f"COPY ({compiled}) TO STDOUT ({options})", compiled.params) as copy,
    ):
        lines = map(bytes, copy)
        while some := list(islice(lines, batch)):
            yield some


def _driver(connection: sa.Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.dbapi_connection  # a detached connection has no other way to it
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("COPY needs psycopg 3: use a database URL that begins with postgresql+psycopg://")
    return driver
