"""May this dispatcher go on? Asked again and again, on a connection that does nothing else."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import timedelta
from types import TracebackType

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from reku.contact.decide import barred_among
from reku.contact.policy import Policy
from reku.dispatch import ledger, stops
from reku.dispatch.lock import HOLDS, LOCK_CLASS, LockLost
from reku.dispatch.plan import SendPlan

FRESH_SECONDS = 0.2
"""No mail is begun on knowledge older than this: lock, stop switches, unsubscribes."""


class LeaseGuard:
    """What a dispatcher knows of its right to go on. `holder` is the session that holds the delivery's lock.

    Between two looks the leases of its batches keep others from its messages, so that nothing hangs on the moment.
    """

    def __init__(self, engine: sa.Engine, plan: SendPlan, delivery: int, holder: int, lease: timedelta) -> None:
        self._plan, self._delivery, self._holder, self._lease = plan, delivery, holder, lease
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._looked = self._renewed = float("-inf")

    def __enter__(self) -> LeaseGuard:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, LockLost):
            self._connection.invalidate()
        self._connection.close()

    @property
    def is_fresh(self) -> bool:
        """Whether the last look is recent enough to begin a mail."""
        return time.monotonic() - self._looked < FRESH_SECONDS

    def renew(self, claimed: Collection[int], fences: Collection[int]) -> set[int]:
        """Look afresh, and renew the leases in time. Returns which of the claimed messages are barred by now.

        Raises LockLost when the lock, the database or a batch is gone, and Stopped.
        """
        begun = time.monotonic()
        try:
            asked = {"lock_class": LOCK_CLASS, "delivery": self._delivery, "holder": self._holder}
            if not self._connection.scalar(HOLDS, asked):
                raise LockLost(self._delivery, "its session has ended")
            stops.check_stops(self._connection, self._plan.institute.blz, self._plan.order_number)
            barred = barred_among(self._connection, Policy.of(self._plan.institute), claimed) if claimed else set()
            if begun - self._renewed > self._lease.total_seconds() / 4:
                ledger.renew(self._connection, self._delivery, fences, self._lease)
                self._renewed = begun
        except DBAPIError as error:
            raise LockLost(self._delivery, f"the database: {type(error.orig).__name__}") from error
        self._looked = begun
        return barred
