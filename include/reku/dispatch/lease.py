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
from reku.dispatch import ledger, stop_switches
from reku.dispatch.channel import Channel
from reku.dispatch.plan import SendPlan
from reku.foundation.errors import PassingError
from reku.store.locks import Lock, is_held_by

FRESH_SECONDS = 0.2
"""No message is begun on knowledge older than this: lock, stop switches, unsubscribes."""


class LockLost(PassingError):
    """This dispatcher has lost its right to go on: it must not hand over anything more. `how` says what is gone."""

    def __init__(self, delivery: int, how: str) -> None:
        super().__init__(
            f"The dispatcher of delivery {delivery} lost its lock ({how}) and has stopped handing over. What is open "
            "stays open: clear `dispatch`."
        )


class LeaseGuard:
    """What a dispatcher knows of its right to go on. `session` holds the delivery's lock.

    Between two questions the leases of its batches keep others from its messages, so that nothing hangs on the moment.
    """

    def __init__(self, engine: sa.Engine, plan: SendPlan, channel: Channel, session: int, lease: timedelta) -> None:
        self._plan, self._channel, self._session, self._lease = plan, channel, session, lease
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._asked_at = self._renewed_at = float("-inf")

    def __enter__(self) -> LeaseGuard:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, LockLost):
            self._connection.invalidate()
        self._connection.close()

    @property
    def is_fresh(self) -> bool:
        """Whether what is known is fresh enough to begin a message."""
        return time.monotonic() - self._asked_at < FRESH_SECONDS

    def renew(self, claimed: Collection[int], fences: Collection[int]) -> set[int]:
        """Ask afresh, and renew the leases in time. Returns which of the claimed messages are barred by now.

        Raises LockLost when the lock, the database or a batch is gone, and Stopped.
        """
        asked_at = time.monotonic()
        try:
            if not is_held_by(self._connection, self._session, Lock.DELIVERY, self._plan.delivery):
                raise LockLost(self._plan.delivery, "its session has ended")
            stop_switches.check_stops(self._connection, self._plan.institute.blz, self._plan.order_number)
            barred = self._barred_among(claimed)
            if asked_at - self._renewed_at > self._lease.total_seconds() / 4:
                if not ledger.renew_leases(self._connection, self._plan.delivery, fences, self._lease):
                    raise LockLost(self._plan.delivery, "a batch was taken over")
                self._renewed_at = asked_at
        except DBAPIError as error:
            raise LockLost(self._plan.delivery, f"the database: {type(error.orig).__name__}") from error
        self._asked_at = asked_at
        return barred

    def _barred_among(self, claimed: Collection[int]) -> set[int]:
        if not claimed:
            return set()
        return barred_among(self._connection, Policy.of(self._plan.institute), claimed, self._channel.barred_by)
