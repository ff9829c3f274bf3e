"""Advisory locks: one at a time, across processes and machines.

A lock has a kind and the number of what is locked. It falls at the latest with the session that holds it, so nothing
has to be cleared up after a process that was killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import sqlalchemy as sa


class Lock(IntEnum):
    """What may be done by one at a time: the first key of the lock. The second is an id, a BLZ, or 0."""

    MIGRATION = 4701
    """Bringing the schema up to date."""
    FILES = 4702
    """Moving the files of a bank (BLZ): intake, retries, retention, erasure."""
    DELIVERY = 4703
    """Dispatching a delivery (id), and putting right what a dead dispatcher left of it."""
    ORDER = 4704
    """Claiming messages of an order (id): the same person in two of its deliveries is seen."""
    PEOPLE = 4705
    """Deciding whom of a bank (BLZ) to contact, where blocking periods count across its occasions."""
    HITS = 4706
    """Judging settled opens and clicks: whoever comes after another builds on the other's verdicts."""
    BOUNCES = 4707
    """Recording mails of the return mailbox: two collectors would wait for each other's events in turn."""
    SELECTION = 4709
    """Selecting people for an order (id): whoever comes second finds the delivery of the first."""
    ALARMS = 4710
    """Telling people what needs them: whoever comes second finds what was told."""
    PREPARED = 4711
    """Drawing the number of a prepared file of a bank (BLZ)."""
    ACT = 4712
    """What people do by pages to one thing (a check sum of its name): whoever comes second hears that it is done."""
    RUN = 4708
    """Being at work outside Airflow: held by each `reku run` (a number of its own) to its end, for others to see."""


def lock_until_commit(connection: sa.Connection, lock: Lock, of: int = 0) -> None:
    """Wait for the lock and hold it until the connection's transaction ends."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(int(lock), of)))


def is_locked_until_commit(connection: sa.Connection, lock: Lock, wait_seconds: float, of: int = 0) -> bool:
    """Like `lock_until_commit`, but False if another one holds it for longer than we wait.

    Then the transaction is good for nothing more.
    """
    return _is_had_in_time(connection, sa.func.pg_advisory_xact_lock(int(lock), of), wait_seconds)


@contextmanager
def session_lock(
    engine: sa.Engine, lock: Lock, of: int = 0, *, wait_seconds: float = 0
) -> Iterator[sa.Connection | None]:
    """A connection that holds the lock, or None if another one holds it for longer than we wait.

    What must not be done without the lock is best done on this very connection: if it breaks, the lock is gone and so
    is the work.
    """
    with engine.connect() as connection:
        connection.detach()  # back in the pool it could take the lock with it; a detached one is closed for good
        if not _acquire(connection, lock, of, wait_seconds):
            yield None
            return
        try:
            yield connection
        finally:
            _release(connection, lock, of)


def _acquire(connection: sa.Connection, lock: Lock, of: int, wait_seconds: float) -> bool:
    if wait_seconds <= 0:
        with connection.begin():
            return bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(int(lock), of))))
    with connection.begin():
        return _is_had_in_time(connection, sa.func.pg_advisory_lock(int(lock), of), wait_seconds)


def _is_had_in_time(connection: sa.Connection, lock: sa.Function[Any], wait_seconds: float) -> bool:
    """Wait in turn, and no longer than that."""
    limit = sa.func.set_config
    try:
        connection.execute(sa.select(limit("lock_timeout", f"{max(1, int(wait_seconds * 1000))}ms", True)))
        connection.execute(sa.select(lock))
        connection.execute(sa.select(limit("lock_timeout", "0", True)))  # what is locked later is waited for
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == "55P03":  # lock_not_available
            return False
        raise
    return True


def _release(connection: sa.Connection, lock: Lock, of: int) -> None:
    """At once: the server notices a closed connection a little later, and whoever comes next would be turned away."""
    try:
        connection.rollback()
        with connection.begin():
            connection.execute(sa.select(sa.func.pg_advisory_unlock(int(lock), of)))
    except sa.exc.SQLAlchemyError:
        connection.invalidate()  # the session is gone, and its lock with it


_IS_HELD_BY = sa.text("""
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND classid = :lock AND objid = :of AND objsubid = 2
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) -- the view has all of them
            AND pid = coalesce(:session, pid)
    )
""")
_HELD = sa.text("""
    SELECT objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND classid = :lock AND objsubid = 2
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")


def held(connection: sa.Connection, lock: Lock) -> set[int]:
    """What some session holds this lock of."""
    return set(connection.scalars(_HELD, {"lock": int(lock)}))


def session_of(connection: sa.Connection) -> int:
    """The number by which other sessions know this one."""
    with connection.begin():
        session: int = connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one()
        return session


def is_held(connection: sa.Connection, lock: Lock, of: int = 0) -> bool:
    """Whether some session holds the lock."""
    return is_held_by(connection, None, lock, of)


def is_held_by(connection: sa.Connection, session: int | None, lock: Lock, of: int = 0) -> bool:
    """Whether that session holds the lock (None: whether any does); any session may ask."""
    return bool(connection.scalar(_IS_HELD_BY, {"lock": int(lock), "of": of, "session": session}))
