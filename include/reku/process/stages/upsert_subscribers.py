"""The order's list is filled and the messages are opened; deliveries of one order load in number order."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta

import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.process.answers import Answer, Done, WaitFor
from reku.process.banks import label_of
from reku.process.due_work import earlier_not_loaded
from reku.process.systems import system_of_delivery
from reku.subscribers.load import load

EARLIER_FIRST = timedelta(minutes=30)
"""How long a delivery waits for a lower-numbered one of its order to be loaded."""


def carry_out(engine: sa.Engine, delivery: int, day: date) -> Answer:  # noqa: ARG001 - see Stage
    """Load the delivery, after the lower-numbered ones of its order. Raises StageError if it may not be loaded."""
    earlier = earlier_not_loaded(engine, delivery)
    if earlier is not None:
        return WaitFor(
            "earlier_loaded",
            {"delivery": delivery},
            clock.now() + EARLIER_FIRST,
            why=f"delivery number {earlier:06d} of the same order comes first",
            in_vain=f"{label_of(engine, delivery)}: an earlier delivery of this order is still not loaded, and they "
            "load in number order. Repair that one first (its own index, or `reku deliveries list`), then clear this "
            "task.",
        )
    try:
        loaded = load(engine, delivery)
    except StageError:
        # the order may have ended meanwhile; otherwise it says the same again
        system_of_delivery(engine, delivery).source.tell_rejected(engine, delivery)
        raise
    return Done({name: count for name, count in dataclasses.asdict(loaded).items() if name != "delivery"})
