"""Prepare a server of one's own for a start: `python -m reku.runtime.prepare`, one-shot service of the compose file.

Creates our database if it is missing and migrates both schemas. May be run at any time, any number of times.
"""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg
import sqlalchemy as sa
from psycopg import sql

from reku.foundation.errors import SetupError
from reku.foundation.private_files import keep_private
from reku.foundation.settings import required
from reku.runtime import airflow
from reku.store.migrate import migrate


def create_database(url: str) -> None:
    """Create the database that a URL names, if the server lacks it. Raises SetupError if that can't be reached."""
    target = sa.make_url(url)
    if target.database is None:
        raise SetupError("REKU_DATABASE_URL names no database; add it after the last slash, like /reku.")
    server = target.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    try:
        with psycopg.connect(server, autocommit=True, connect_timeout=10) as connection:
            existing = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (target.database,)).fetchone()
            if existing is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(target.database)))
    except psycopg.OperationalError as error:
        raise SetupError(f"The server of REKU_DATABASE_URL can't be reached: {str(error).strip()}") from None


def main() -> int:
    """Prepare both databases; returns the exit code."""
    keep_private()
    try:
        airflow.check_variables(os.environ)
        url = required("database_url")
        create_database(url)
        engine = sa.create_engine(url)
        migrate(engine)
        engine.dispose()
    except SetupError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command speaks to its user
        return 1
    return subprocess.run(airflow.command("db", "migrate"), check=False).returncode  # noqa: S603 - our own command


if __name__ == "__main__":
    sys.exit(main())
