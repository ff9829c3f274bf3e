"""How far the dispatch of the day has come, by the ledger's counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from reku.foundation import clock
from reku.store.delivery import load_delivery
from reku.store.states import MAY_STILL_GO_OUT, MessageState
from reku.store.tables import claims, deliveries, messages
from reku.views.rows import read

_ENDED = {
    "sent": MessageState.SENT,
    "prepared": MessageState.PREPARED,
    "withheld": MessageState.WITHHELD,
    "rejected": MessageState.REJECTED,
    "not_in_time": MessageState.UNDELIVERED,
    "in_doubt": MessageState.IN_DOUBT,
}


@dataclass(frozen=True)
class DispatchProgress:
    """What of a delivery is due today; `due` is the sum of all that follow. `open` is in hand or may go out at once."""

    delivery: int
    institute: str
    order: str
    number: int
    due: int
    sent: int
    prepared: int
    withheld: int
    rejected: int
    not_in_time: int
    in_doubt: int
    open: int
    put_off: int

    @property
    def left(self) -> int:
        """Messages that dispatch has not done its part for."""
        return self.open + self.put_off

    @property
    def done(self) -> int:
        """Messages that have ended, or are prepared."""
        return self.due - self.left


def dispatch_progress(
    engine: sa.Engine, delivery: int | None = None, also: Collection[int] = ()
) -> list[DispatchProgress]:
    """What is due today, by delivery: of those that have some of it open or in hand, of the one given, of `also`.

    Messages of earlier days count only if they were still open today. Raises StageError if there is no such delivery.
    """
    of = messages.c
    begins, ends = clock.at(clock.today()), clock.at(clock.today() + timedelta(days=1))
    is_due = of.due_at < ends
    is_put_off = (of.state == MessageState.OPEN) & (of.retry_at > clock.now())
    if delivery is not None:
        wanted = deliveries.c.id == delivery
    else:
        in_hand = sa.select(claims.c.delivery_id)
        busy = sa.select(of.delivery_id).where(of.state == MessageState.OPEN, is_due).union(in_hand)
        wanted = deliveries.c.id.in_(busy) | deliveries.c.id.in_(also)
    counted = (
        sa.select(
            deliveries.c.id.label("delivery"),
            deliveries.c.institute,
            deliveries.c.order_number.label("order"),
            deliveries.c.delivery_number.label("number"),
            sa.func.count().label("due"),
            *(_count(name, of.state == state) for name, state in _ENDED.items()),
            _count("open", of.state.in_(MAY_STILL_GO_OUT), is_put_off.is_not(sa.true())),
            _count("put_off", is_put_off),
        )
        .join(messages, of.delivery_id == deliveries.c.id)
        .where(wanted, is_due)
        .where(of.state.in_(MAY_STILL_GO_OUT) | (sa.func.coalesce(of.ended_at, of.begun_at, of.claimed_at) >= begins))
        .group_by(deliveries.c.id)
        .order_by(deliveries.c.id)
    )
    with engine.connect() as connection:
        if delivery is not None:
            load_delivery(connection, delivery)
        return read(connection, counted, DispatchProgress)


def _count(name: str, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.count().filter(*conditions).label(name)
