"""An engine for trying something out: its transactions see one another, and none of them is ever committed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa

LONGEST_WAIT = "10s"
"""So long it waits for a lock that somebody at real work has, and holds up nobody longer."""


class _NeverCommitting(psycopg.Connection[Any]):
    """One transaction from its begin to its end: a commit is a savepoint, a rollback goes back to the last one."""

    def commit(self) -> None:
        self.execute("RELEASE SAVEPOINT committed; SAVEPOINT committed")

    def rollback(self) -> None:
        self.execute("ROLLBACK TO SAVEPOINT committed")

    def close(self) -> None:
        """Whoever is done with it leaves it to the next one; see `end`."""

    def end(self) -> None:
        """Close it, and with it all that was done is gone."""
        super().close()


@contextmanager
def never_committed(engine: sa.Engine) -> Iterator[sa.Engine]:
    """An engine on the same database, all of whose work is gone in the end.

    It is one connection for everything, so it is for one thread. Numbers that sequences have given stay given.
    """
    arguments, options = engine.dialect.create_connect_args(engine.url)
    connection = _NeverCommitting.connect(*arguments, **options)
    connection.execute(f"SET LOCAL lock_timeout = '{LONGEST_WAIT}'; SAVEPOINT committed")
    try:
        trying = sa.create_engine(
            engine.url,
            creator=lambda: connection,
            poolclass=sa.pool.StaticPool,
            json_deserializer=engine.dialect._json_deserializer,
            hide_parameters=True,
        )
        yield trying
    finally:
        connection.end()
