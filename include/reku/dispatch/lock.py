"""One dispatcher per delivery: its lock, taken with all that a dead one has left of the delivery put right.

Told in docs/architecture.md, "Nobody gets two mails".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from reku.dispatch.recovery import RecoveryResult, recover
from reku.foundation.errors import PassingError
from reku.foundation.settings import settings
from reku.store.locks import Lock, session_lock, session_of


class StillRunning(PassingError):
    """Another dispatcher has this delivery, or a batch of it, in hand; try again later."""


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


@dataclass(frozen=True)
class DeliveryLock:
    """A delivery's lock while it is held. `session`: the database session that holds it, which others may ask for."""

    delivery: int
    session: int
    recovered: RecoveryResult


@contextmanager
def delivery_lock(engine: sa.Engine, delivery: int) -> Iterator[DeliveryLock]:
    """Hold the delivery's lock; first, what a dispatcher that died has left of it is put right.

    Raises StillRunning if another one holds it, StillLeased while a batch of it may be in somebody's hands.
    """
    with session_lock(engine, Lock.DELIVERY, delivery) as connection:
        if connection is None:
            raise StillRunning(
                f"Delivery {delivery} is being dispatched by another task that still runs. Nothing was done here: "
                "clear `dispatch` when it has ended."
            )
        session = session_of(connection)
        yield DeliveryLock(delivery, session, recover(engine, delivery, settings().journals()))
