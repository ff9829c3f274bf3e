"""Sessions of a test's own database: who waits for a lock, who holds one, and the end of them.

The server is that of all workers, and its views show everybody's sessions: a test that asked them itself would count,
or end, those of a test beside it.
"""

from __future__ import annotations

import sqlalchemy as sa

from reku.store.locks import Lock

_END = "pg_terminate_backend(pid, 10000)"  # waits until it has ended
_WAITING = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
_HOLDING = """
    FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = :lock AND objid = :of
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def waiting(connection: sa.Connection) -> int:
    """How many sessions wait for a lock of any kind."""
    connection.execute(sa.text("SELECT pg_stat_clear_snapshot()"))  # a transaction is shown what it was shown first
    return connection.execute(sa.text(f"SELECT count(*) {_WAITING}")).scalar_one()  # type: ignore[no-any-return] # count(*)


def end_waiting(engine: sa.Engine) -> bool:
    """End the sessions that wait for a lock. Returns whether there was one."""
    with engine.begin() as connection:
        return bool(connection.execute(sa.text(f"SELECT {_END} {_WAITING}")).all())


def end_holder(engine: sa.Engine, lock: Lock, of: int) -> None:
    """End the session that holds the lock, which thereby falls."""
    with engine.begin() as connection:
        connection.execute(sa.text(f"SELECT {_END} {_HOLDING}"), {"lock": int(lock), "of": of})
