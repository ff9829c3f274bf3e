"""The day in numbers: what happened to messages since midnight, and what waits now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from reku.foundation import clock
from reku.store.kinds import EventKind
from reku.store.states import DELIVERY_IS_ON_ITS_WAY, DeliveryState, MessageState, in_states
from reku.store.tables import collections, deliveries, messages, releases, responses


@dataclass(frozen=True)
class EventCount:
    """So many events of a kind were recorded for a bank, for this reason (of those that were not sent)."""

    institute: str
    kind: EventKind
    reason: str
    count: int


@dataclass(frozen=True)
class DayFigures:
    """`events`: recorded since midnight in Berlin. `deliveries`: those not at their end, by state; `asked`: of them
    those that wait for a person. `in_doubt`: messages. `collected`: how long ago the last look ended that left nothing
    of what had come back, by its source.
    """

    events: tuple[EventCount, ...]
    deliveries: Mapping[str, int]
    asked: int
    in_doubt: int
    collected: Mapping[str, timedelta]


def day_figures(engine: sa.Engine) -> DayFigures:
    """The figures of today, all banks together but for the events."""
    with engine.connect() as connection:
        by_state = dict.fromkeys(map(str, DELIVERY_IS_ON_ITS_WAY), 0)
        for row in connection.execute(
            sa.select(deliveries.c.state, sa.func.count().label("happened"))
            .where(deliveries.c.state.in_(DELIVERY_IS_ON_ITS_WAY))
            .group_by(deliveries.c.state)
        ):
            by_state[row.state] = row.happened
        asked = sa.select(sa.func.count()).where(
            deliveries.c.id == releases.c.delivery_id,
            deliveries.c.state == DeliveryState.VALIDATED,
            releases.c.asked_at.is_not(None),
            releases.c.decision.is_(None),
        )
        doubt = sa.select(sa.func.count()).where(in_states(messages, (MessageState.IN_DOUBT,)))
        looks = connection.execute(sa.select(collections.c.source, collections.c.complete_at)).all()
        return DayFigures(
            tuple(events_since(connection, clock.at(clock.today()))),
            by_state,
            connection.scalar(asked) or 0,
            connection.scalar(doubt) or 0,
            {row.source: clock.now() - row.complete_at for row in looks},
        )


def events_since(connection: sa.Connection, moment: datetime) -> list[EventCount]:
    """What was recorded since a moment, by bank, kind and reason."""
    c = responses.c
    by = (c.institute, c.kind, c.reason)
    rows = connection.execute(
        sa.select(*by, sa.func.count().label("happened")).where(c.recorded_at >= moment).group_by(*by).order_by(*by)
    )
    return [EventCount(row.institute, EventKind(row.kind), row.reason, row.happened) for row in rows]
