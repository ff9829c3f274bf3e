"""One dispatcher at work: its errand, its standing, its connections to the relay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from reku.channels.email.media.compile import CompiledMedium, compile_medium
from reku.channels.email.smtp.handover import Relay, hand_over
from reku.dispatch.lease import Standing
from reku.dispatch.ledger import Due
from reku.dispatch.ledger_writer import Bookkeeper, Terms
from reku.dispatch.plan import Route
from reku.dispatch.progress import Dispatched
from reku.dispatch.queue import DispatchErrand
from reku.dispatch.shutdown import halting
from reku.foundation.settings import settings


@dataclass(frozen=True)
class Work:
    """What is to be handed over: `until` the send window ends, under the delivery's lock that session `holder` has."""

    engine: sa.Engine
    way: Route
    media: Mapping[str, CompiledMedium]
    due: Due
    until: datetime
    holder: int


def compiled_media(way: Route) -> dict[str, CompiledMedium]:
    """The media of a campaign, compiled. Raises ConfigError, with file and line, before the first mail."""
    return {key: compile_medium(medium, way.institute) for key, medium in way.media.items()}


def serve(
    work: Work,
    done: Dispatched,
    show: Callable[[Dispatched], None],
    *,
    quota: int | None = None,
) -> None:
    """Hand over until nothing is left to claim, counting into `done` and showing it from time to time.

    `quota`: at most so many mails. Raises what `hand_over` raises, and Halted when the process was asked to end, with
    everything not handed over open again.
    """
    s = settings()
    lease = timedelta(seconds=s.lease_seconds)
    books = Bookkeeper(work.engine, work.way, work.due, Terms(s.dispatch_batch, lease, s.journals(), quota))
    with (
        Standing(work.engine, work.way, work.due.delivery, work.holder, lease) as standing,
        DispatchErrand(work.way, work.media, books, standing, work.until, done, show) as errand,
        halting(errand.stop),
    ):
        hand_over(errand, Relay.from_settings(s), connections=s.smtp_connections)
