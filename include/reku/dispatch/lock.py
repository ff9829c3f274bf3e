"""One dispatcher per delivery: a session-level advisory lock on a connection of its own.

Told in docs/architecture.md, "Nobody gets two mails".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from reku.foundation.errors import PassingError

LOCK_CLASS = 4711  # first key of our advisory locks on deliveries; the second is the delivery's id


class StillRunning(PassingError):
    """Another dispatcher has this delivery, or a batch of it, in hand; try again later."""


class LockLost(PassingError):
    """This dispatcher has lost its right to go on: it must not hand over anything more. `how` says what is gone."""

    def __init__(self, delivery: int, how: str) -> None:
        super().__init__(
            f"The dispatcher of delivery {delivery} lost its lock ({how}) and has stopped handing over. What is open "
            "stays open: clear `dispatch`."
        )


class DatabaseLost(PassingError):
    """The database refused or lost a statement; what was not recorded for it stands in the journals."""


@contextmanager
def passing_database_errors(delivery: int) -> Iterator[None]:
    """Raises DatabaseLost for an error of the database, without its text, which may quote values of people."""
    try:
        yield
    except DBAPIError as error:
        raise DatabaseLost(
            f"The database refused or lost a statement ({type(error.orig).__name__}) while delivery {delivery} was "
            "dispatched. Nothing is lost: what was handed over stands in the journal. If it stays so, look at the "
            "database's log."
        ) from None


HOLDS = sa.text("""
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND classid = :lock_class AND objid = :delivery AND pid = :holder
    )
""")
"""Whether the session `:holder` holds the lock of `:delivery`; any session may ask."""


@contextmanager
def delivery_lock(engine: sa.Engine, delivery: int) -> Iterator[int]:
    """Hold the delivery's lock; yields the id of the session that holds it. Raises StillRunning if another one does."""
    keys = {"first": LOCK_CLASS, "second": delivery}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(sa.text("SELECT pg_try_advisory_lock(:first, :second)"), keys):
            raise StillRunning(
                f"Delivery {delivery} is being dispatched by another task that still runs. Nothing was done here: "
                "clear `dispatch` when it has ended."
            )
        holder: int = connection.scalar(sa.text("SELECT pg_backend_pid()")) or 0
        try:
            yield holder
        finally:
            try:
                connection.execute(sa.text("SELECT pg_advisory_unlock(:first, :second)"), keys)
            except SQLAlchemyError:
                connection.invalidate()  # the session is gone, and its lock with it
