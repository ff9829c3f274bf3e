"""One dispatcher at work on a delivery: what a channel sends with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from reku.dispatch.brake import Brake
from reku.dispatch.channel import Channel
from reku.dispatch.claim import Claimed
from reku.dispatch.lease import LeaseGuard
from reku.dispatch.ledger import Due
from reku.dispatch.ledger_writer import ClaimLimits, LedgerWriter
from reku.dispatch.plan import SendPlan
from reku.dispatch.progress import DispatchResult
from reku.dispatch.queue import ContentT, DeliveryQueue
from reku.dispatch.shutdown import on_shutdown
from reku.foundation.settings import settings


@dataclass(frozen=True)
class Dispatcher:
    """What is due of a delivery, and under what terms this process sends it on a channel.

    `until`: the send window ends; `session`: the one that holds the delivery's lock; `quota`: at most so many messages
    (None: all). What was done is counted into `result`, and `show` is called with it from time to time. `brake`: counts
    what is refused, over everything that this dispatcher sends.
    """

    engine: sa.Engine
    plan: SendPlan
    channel: Channel
    due: Due
    until: datetime
    session: int
    result: DispatchResult
    show: Callable[[DispatchResult], None]
    brake: Brake
    quota: int | None = None

    @contextmanager
    def open_queue(self, fill: Callable[[Claimed], ContentT]) -> Iterator[DeliveryQueue[ContentT]]:
        """The messages one by one, filled by the channel when their time has come, each accounted for in any crash.

        `fill` makes a message's content; it raises MessageFault. When the queue is closed, what was never begun is open
        again. Raises LockLost, Stopped, and ShutdownRequested when the process was asked to end.
        """
        s = settings()
        lease = timedelta(seconds=s.lease_seconds)
        limits = ClaimLimits(s.dispatch_batch, lease, s.journals(), self.quota)
        writer = LedgerWriter(self.engine, self.plan, self.channel, self.due, limits)
        with (
            LeaseGuard(self.engine, self.plan, self.channel, self.session, lease) as lease_guard,
            DeliveryQueue(
                self.plan, fill, writer, lease_guard, self.until, self.result, self.show, self.brake
            ) as queue,
            on_shutdown(queue.stop),
        ):
            yield queue
