"""Days on which an order was due and no run of its occasion did the day's work (docs/operations.md, "Missed days").

Which runs there were is told by whoever drives the stages; what was due, and what of it came through, is asked here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from reku.catalogue import institutes, occasions
from reku.foundation import clock
from reku.process.systems import is_served, system_of
from reku.store.states import STANDS_IN_THE_LEDGER
from reku.store.tables import deliveries, lists, orders

LOOKED_BACK = 14
"""So many days back is looked unless somebody says otherwise."""


class RunOfDay(StrEnum):
    """The best that the runs of an occasion for one day came to."""

    NONE = "none"
    FAILED = "failed"
    AT_WORK = "at work"
    DONE = "done"


MISSED = (RunOfDay.NONE, RunOfDay.FAILED)


@dataclass(frozen=True)
class MissedRhythm:
    """An order that was due on a day whose work no run has done. `delivery`: state of what came for it, or empty."""

    day: date
    occasion: str
    institute: str
    bank: str
    order: str
    name: str
    run: RunOfDay
    delivery: str


def missed_rhythms(
    engine: sa.Engine,
    runs: Mapping[tuple[str, date], RunOfDay],
    *,
    institute: str = "",
    occasion: str = "",
    days: int = LOOKED_BACK,
) -> list[MissedRhythm]:
    """What was due on the last `days` days before today and has no run that did it, by day, occasion, bank, order.

    `runs`: by occasion and day; what is not in it has none. Left out is what has come through all the same, since the
    present day's run takes whatever is outstanding.
    """
    past = [clock.today() - timedelta(days=back) for back in range(days, 0, -1)]
    with engine.connect() as connection:
        came = _came(connection, past)
        known = known_orders(connection)
    wanted = [row for row in known if institute in ("", row.institute) and occasion in ("", row.occasion)]
    found = [one for row in wanted for one in _missed(row, past, runs, came)]
    return sorted(found, key=lambda one: (one.day, one.occasion, one.institute, one.order))


def known_orders(connection: sa.Connection) -> list[sa.Row[Any]]:
    """The orders that have not ended, each with the moment (`since`) at which it became known."""
    since = sa.select(sa.func.min(lists.c.reserved_at)).where(lists.c.order_id == orders.c.id).scalar_subquery()
    return list(connection.execute(sa.select(orders, since.label("since")).where(~orders.c.ended)))


def _came(connection: sa.Connection, days: list[date]) -> dict[tuple[int, date], str]:
    """State of the newest delivery of an order for a period."""
    c = deliveries.c
    rows = connection.execute(
        sa.select(c.order_id, c.period_start, c.state).where(c.period_start.in_(days)).order_by(c.id)
    )
    return {(row.order_id, row.period_start): row.state for row in rows}


def _missed(
    order: sa.Row[Any],
    days: list[date],
    runs: Mapping[tuple[str, date], RunOfDay],
    came: Mapping[tuple[int, date], str],
) -> Iterator[MissedRhythm]:
    bank = institutes().whole.get(order.institute)
    if bank is None or not is_served(bank) or order.occasion not in occasions():
        return
    for day in system_of(bank).source.due_days(order, bank, days):
        run = runs.get((order.occasion, day), RunOfDay.NONE)
        is_known = order.since is None or clock.berlin(order.since).date() <= day
        state = came.get((order.id, day), "")
        if run in MISSED and is_known and state not in STANDS_IN_THE_LEDGER:
            yield MissedRhythm(
                day, order.occasion, order.institute, bank.name, order.order_number, order.name, run, state
            )


def windows(days: list[date]) -> list[tuple[date, date]]:
    """Days as windows without gaps, first and last day included: what a backfill can be asked for."""
    found: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
