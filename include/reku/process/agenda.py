"""Who is due when in the next days, with how many people, and what will keep it from going out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from reku.catalogue import Institute
from reku.dispatch import stop_switches
from reku.dispatch.stop_switches import Stop
from reku.foundation import clock
from reku.foundation.words import Words
from reku.process.banks import Banks
from reku.process.systems import is_served, system_of
from reku.process.warnings import warnings
from reku.store.states import STANDS_IN_THE_LEDGER
from reku.store.tables import deliveries, orders, osplus_orders

DAYS = 7


@dataclass(frozen=True)
class AgendaEntry:
    """An order that is due on a day. `people`: of its last delivery; None if there was none yet."""

    day: date
    institute: str
    bank: str
    occasion: str
    order: str
    name: str
    people: int | None
    warnings: tuple[Words, ...]


def agenda(engine: sa.Engine, institute: str = "") -> list[AgendaEntry]:
    """What is due from today on for a week, by day; on each day first what will not go out as things stand."""
    days = [clock.today() + timedelta(days=ahead) for ahead in range(DAYS)]
    banks = Banks()
    with engine.connect() as connection:
        stops = stop_switches.in_force(connection)
        rows = connection.execute(_orders(institute)).all()
    found: defaultdict[date, list[AgendaEntry]] = defaultdict(list)
    for order in rows:
        bank = banks.get(order.institute)
        told = tuple(
            warnings(order, bank, is_faulty=bool(order.faulty), is_stopped=any(_concerns(one, order) for one in stops))
        )
        for day in _due_days(order, bank, days):
            name = bank.name if bank else order.institute
            found[day].append(
                AgendaEntry(
                    day, order.institute, name, order.occasion, order.order_number, order.name, order.people, told
                )
            )
    return [
        due
        for day in days
        for due in sorted(found[day], key=lambda due: (not due.warnings, due.bank, due.occasion, due.order))
    ]


def due_days(order: Any, bank: Institute | None, first: date, count: int, within: int) -> list[date]:
    """The next `count` days on which a delivery of the order is expected, looked for `within` so many days."""
    days = [first + timedelta(days=ahead) for ahead in range(within)]
    return list(_due_days(order, bank, days))[:count]


def _due_days(order: Any, bank: Institute | None, days: list[date]) -> Iterator[date]:
    if bank is not None and is_served(bank):
        yield from system_of(bank).source.due_days(order, bank, days)


def _concerns(stop: Stop, order: Any) -> bool:
    return stop.institute in (None, order.institute) and stop.order in (None, order.order_number)


def _orders(institute: str) -> sa.Select[Any]:
    """Orders in force, with the people of the newest delivery that came through the gate."""
    c = deliveries.c
    newest = (
        sa.select(c.order_id, c.accepted)
        .ext(distinct_on(c.order_id))
        .where(c.state.in_(STANDS_IN_THE_LEDGER))
        .order_by(c.order_id, c.delivery_number.desc())
        .subquery()
    )
    return (
        sa.select(orders, osplus_orders.c.faulty, newest.c.accepted.label("people"))
        .outerjoin(osplus_orders, osplus_orders.c.order_id == orders.c.id)
        .outerjoin(newest, newest.c.order_id == orders.c.id)
        .where(~orders.c.ended, orders.c.institute == institute if institute else sa.true())
    )
