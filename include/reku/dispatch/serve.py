"""One dispatcher at work: its queue, its lease, its connections to the relay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from reku.channels.email.media.compile import CompiledMedium, compile_medium
from reku.channels.email.smtp.handover import Relay, hand_over
from reku.dispatch.lease import LeaseGuard
from reku.dispatch.ledger import Due
from reku.dispatch.ledger_writer import ClaimLimits, LedgerWriter
from reku.dispatch.plan import SendPlan
from reku.dispatch.progress import Dispatched
from reku.dispatch.queue import DeliveryQueue
from reku.dispatch.shutdown import on_shutdown
from reku.foundation.settings import settings


@dataclass(frozen=True)
class Work:
    """What is to be handed over: `until` the send window ends, under the delivery's lock that `session` holds."""

    engine: sa.Engine
    plan: SendPlan
    media: Mapping[str, CompiledMedium]
    due: Due
    until: datetime
    session: int


def compiled_media(plan: SendPlan) -> dict[str, CompiledMedium]:
    """The media of a campaign, compiled. Raises ConfigError, with file and line, before the first mail."""
    return {key: compile_medium(medium, plan.institute) for key, medium in plan.media.items()}


def serve(
    work: Work,
    done: Dispatched,
    show: Callable[[Dispatched], None],
    *,
    quota: int | None = None,
) -> None:
    """Hand over until nothing is left to claim, counting into `done` and showing it from time to time.

    `quota`: at most so many mails. Raises what `hand_over` raises, and ShutdownRequested when the process was asked to
    end, with everything not handed over open again.
    """
    s = settings()
    lease = timedelta(seconds=s.lease_seconds)
    writer = LedgerWriter(work.engine, work.plan, work.due, ClaimLimits(s.dispatch_batch, lease, s.journals(), quota))
    with (
        LeaseGuard(work.engine, work.plan, work.due.delivery, work.session, lease) as lease_guard,
        DeliveryQueue(work.plan, work.media, writer, lease_guard, work.until, done, show) as queue,
        on_shutdown(queue.stop),
    ):
        hand_over(queue, Relay.from_settings(s), connections=s.smtp_connections)
