"""A delivery whose mails are taken badly stops the dispatch of its order, until a person goes on.

Large providers bar a sender of whose mails too many come back or are called spam, with all its mails
(docs/operations.md, "Stopping the dispatch").
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.foundation import clock
from reku.process.reputation import COMPLAINTS, HARD_BOUNCES, LEAST_COMPLAINTS
from reku.store.kinds import EventKind
from reku.store.states import HAND_OVER_WAS_TRIED, in_states
from reku.store.tables import messages, orders, responses, stops

ACTOR = "reku"
"""Who stops, in the audit."""
LEAST_BOUNCES = 10
"""People are told from five on; for a stop a handful of dead addresses in a small delivery says too little."""
LOOKED_BACK = timedelta(days=1)
"""Deliveries are judged of which something bad was recorded since: the rest has been."""

log = logging.getLogger(__name__)
_BAD = (EventKind.BOUNCED_HARD, EventKind.COMPLAINED)


@dataclass(frozen=True)
class BadDelivery:
    """Of a delivery so many mails were handed over, came back for good, were called spam."""

    delivery: int
    institute: str
    order: str
    tried: int
    hard: int
    complaints: int

    @property
    def must_stop(self) -> bool:
        """Whether no more should go out before somebody has looked; with very few of them it is chance."""
        tried = max(self.tried, 1)
        return (self.hard >= LEAST_BOUNCES and self.hard / tried >= HARD_BOUNCES[1]) or (
            self.complaints >= LEAST_COMPLAINTS and self.complaints / tried >= COMPLAINTS[1]
        )


def stop_what_is_taken_badly(engine: sa.Engine) -> list[int]:
    """Throw a stop for the order of each delivery that is taken badly; returns the ids of the stops.

    A delivery does so once: when a person has lifted its stop, that holds. Running dispatches obey within two seconds.
    """
    with engine.connect() as connection:
        bad = [one for one in _recent(connection) if one.must_stop]
    return [_stop(engine, one) for one in bad]


def figures_of(connection: sa.Connection, delivery: int) -> BadDelivery | None:
    """How a delivery was taken until now; None if it is not there any more."""
    return next(iter(_counted(connection, [delivery])), None)


def _stop(engine: sa.Engine, bad: BadDelivery) -> int:
    note = f"of {bad.tried} mails {bad.hard} came back for good, {bad.complaints} were called spam"
    stop = stop_switches.throw(
        engine, institute=bad.institute, order=bad.order, actor=ACTOR, note=note, delivery=bad.delivery
    )
    log.warning("%s, order %s, delivery %d is stopped: %s", bad.institute, bad.order, bad.delivery, note)
    return stop


def _recent(connection: sa.Connection) -> list[BadDelivery]:
    """Deliveries with enough bad news, some of it recent, that have not stopped their order yet."""
    has_stopped = sa.exists().where(stops.c.delivery_id == messages.c.delivery_id)
    found = connection.scalars(
        sa.select(messages.c.delivery_id)
        .join(responses, responses.c.message_id == messages.c.id)
        .where(responses.c.recorded_at >= clock.now() - LOOKED_BACK, responses.c.kind.in_(_BAD), ~has_stopped)
        .distinct()
    )
    # most have one or two: all mails are counted of the few only that have enough, each minute
    return _counted(connection, list(found), at_least=True)


def _counted(connection: sa.Connection, wanted: list[int], *, at_least: bool = False) -> list[BadDelivery]:
    """Of some deliveries what was bad; `at_least`: only where it is enough for a stop."""
    hard, complaints = (sa.func.count().filter(responses.c.kind == kind) for kind in _BAD)
    by = (messages.c.delivery_id, orders.c.institute, orders.c.order_number)
    bad = (
        sa.select(*by, hard.label("hard"), complaints.label("complaints"))
        .join(responses, responses.c.message_id == messages.c.id)
        .join(orders, orders.c.id == messages.c.order_id)
        .where(messages.c.delivery_id.in_(wanted), responses.c.kind.in_(_BAD))
        .group_by(*by)
        .order_by(messages.c.delivery_id)
    )
    if at_least:
        bad = bad.having((hard >= LEAST_BOUNCES) | (complaints >= LEAST_COMPLAINTS))
    rows = connection.execute(bad).all() if wanted else []
    tried = _tried(connection, [row.delivery_id for row in rows])
    return [
        BadDelivery(row.delivery_id, row.institute, row.order_number, tried[row.delivery_id], row.hard, row.complaints)
        for row in rows
    ]


def _tried(connection: sa.Connection, wanted: list[int]) -> Counter[int]:
    """How many mails of each delivery were handed over, or were to be."""
    of = messages.c
    counted = (
        sa.select(of.delivery_id, sa.func.count().label("tried"))
        .where(of.delivery_id.in_(wanted), in_states(messages, HAND_OVER_WAS_TRIED))
        .group_by(of.delivery_id)
    )
    counts = Counter[int]()
    if wanted:
        counts.update({row.delivery_id: row.tried for row in connection.execute(counted)})
    return counts
