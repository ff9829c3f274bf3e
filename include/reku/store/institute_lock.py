"""One at a time per institute: whoever moves an institute's files holds an advisory lock on its own connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

_LOCK = 7_355_609  # any number; the same for everybody who moves files, and not that of the migrations


@contextmanager
def locked(engine: sa.Engine, institute: str, *, wait_seconds: float = 0) -> Iterator[sa.Connection | None]:
    """A connection that holds the lock of an institute, or None if another one holds it for longer than we wait.

    All work under the lock is done on this very connection: if it breaks, the lock is gone and so is the work.
    """
    with engine.connect() as connection:
        # A connection that went back to the pool could take the lock with it; a detached one is closed for good.
        connection.detach()
        got = _acquire(connection, institute, wait_seconds)
        yield connection if got else None


def _acquire(connection: sa.Connection, institute: str, wait_seconds: float) -> bool:
    if wait_seconds <= 0:
        with connection.begin():
            return bool(connection.execute(sa.select(sa.func.pg_try_advisory_lock(_LOCK, int(institute)))).scalar_one())
    try:
        with connection.begin():
            limit = f"{int(wait_seconds * 1000)}ms"
            connection.execute(sa.select(sa.func.set_config("lock_timeout", limit, True)))
            connection.execute(sa.select(sa.func.pg_advisory_lock(_LOCK, int(institute))))
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == "55P03":  # lock_not_available
            return False
        raise
    return True
