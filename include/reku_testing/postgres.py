"""The PostgreSQL of a test run: one server for all its workers, and a migrated database for each of them.

The process that hands out the tests starts the server while its workers collect; without workers the first test that
needs it does. Each worker copies the migrated template, and empties its copy before each test.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from reku.runtime.postgres import Postgres
from reku.store.migrate import migrate
from reku.store.tables import metadata
from reku_testing.steps import refuse_unknown_steps
from reku_testing.throwaway import ThrowawayPostgres

TEMPLATE = "reku_template"
_READY = "postgres-is-ready"  # written when the template can be copied; holds the server's state folder
_LONGEST_START = 120.0  # seconds
_SMALL = 256 * 1024  # bytes: DELETE is quicker for a small table, TRUNCATE for a large one

_EMPTY_TABLES = """
    CREATE FUNCTION empty_tables() RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        others text;
    BEGIN
        SET LOCAL lock_timeout = '10s';
        SET LOCAL session_replication_role = replica; -- foreign keys and triggers have no say in this
        FOR attempt IN 1..500 LOOP
            SELECT string_agg(state || ': ' || query, '; ') INTO others FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
                AND backend_type = 'client backend' AND xact_start IS NOT NULL;
            EXIT WHEN others IS NULL;
            PERFORM pg_stat_clear_snapshot(), pg_sleep(0.01); -- one whose process was killed goes meanwhile
        END LOOP;
        IF others IS NOT NULL THEN
            RAISE EXCEPTION USING MESSAGE = 'the test before this one left a transaction open: ' || others;
        END IF;
        -- here
    END $$
"""


@contextmanager
def serving(folder: Path) -> Iterator[Postgres]:
    """The server of the run whose folder this is, with the template, until the run ends."""
    server = ThrowawayPostgres(folder)
    try:
        server.start()
        server.create_database(TEMPLATE)
        engine = sa.create_engine(server.url(TEMPLATE))
        migrate(engine)
        with engine.begin() as connection:
            refuse_unknown_steps(connection)
            connection.exec_driver_sql(_emptying(connection))
        engine.dispose()  # a database that somebody is connected to can't be copied
        draft = folder / f"{_READY}.new"
        draft.write_text(str(server.state), encoding="utf-8")
        draft.rename(folder / _READY)
        yield server
    finally:
        server.remove()


def of_run(folder: Path) -> Postgres:
    """The server that the process above this worker serves in `folder`; waits until it is ready."""
    deadline = time.monotonic() + _LONGEST_START
    while not (folder / _READY).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the run's PostgreSQL is not ready after {_LONGEST_START:.0f} s")
        time.sleep(0.05)
    return Postgres(Path((folder / _READY).read_text(encoding="utf-8")), durable=False)


def copy_template(server: Postgres, name: str) -> None:
    """Make the database `name` as the template is: migrated and empty."""
    with sa.create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE}'))


def empty(engine: sa.Engine) -> None:
    """Empty every table of ours and start every sequence anew.

    Raises a DBAPIError that says so if somebody is still in a transaction after five seconds: the next test would find
    its rows.
    """
    with engine.begin() as connection:
        connection.execute(sa.text("SELECT empty_tables()"))


def _emptying(connection: sa.Connection) -> str:
    """A function in the database: its plans are kept, so that emptying takes a twentieth of TRUNCATE of all tables."""
    emptied = [
        f"IF pg_relation_size('{table}') > {_SMALL} THEN TRUNCATE {table} CASCADE; ELSE DELETE FROM {table}; END IF;"  # noqa: S608 - names of ours
        for table in (f'"{table.schema}"."{table.name}"' for table in metadata.sorted_tables)
    ]
    restarted = connection.scalars(
        sa.text(
            "SELECT format('PERFORM setval(''%I.%I'', %s, false);', schemaname, sequencename, start_value) "
            "FROM pg_sequences"
        )
    )
    return _EMPTY_TABLES.replace("-- here", "\n".join([*emptied, *restarted]))
