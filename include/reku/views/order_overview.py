"""Orders, and their subscriber lists: what the control files have made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time

import sqlalchemy as sa

from reku.foundation import clock
from reku.store.tables import lists, orders, osplus_orders, subscribers
from reku.views.rows import filters, read


@dataclass(frozen=True)
class OrderLine:
    """An order. `state`: active, ended (by control file, or past its last day), faulty (its newest control file is)."""

    institute: str
    order: str
    name: str
    occasion: str
    rhythm: str
    interface: str | None
    origin: str | None
    valid_from: date
    valid_until: date | None
    expected_by: time
    state: str


@dataclass(frozen=True)
class SubscriberList:
    """A subscriber list. `state`: reserved (no delivery yet), in use, or frozen since its order was renamed."""

    institute: str
    name: str
    order: str
    order_name: str
    people: int
    state: str
    reserved_at: datetime
    created_at: datetime | None
    frozen_at: datetime | None


def order_lines(engine: sa.Engine, institute: str = "", occasion: str = "") -> list[OrderLine]:
    """The orders that have a processed control file; of all, or of an institute, an occasion."""
    of, by_osplus = orders.c, osplus_orders.c
    state = sa.case(
        (of.ended | (of.valid_until < clock.today()), "ended"), (by_osplus.faulty, "faulty"), else_="active"
    )
    wanted = (
        sa.select(
            of.institute,
            of.order_number.label("order"),
            of.name,
            of.occasion,
            of.rhythm,
            by_osplus.interface,
            by_osplus.origin,
            of.valid_from,
            of.valid_until,
            of.expected_by,
            state.label("state"),
        )
        .outerjoin(osplus_orders, by_osplus.order_id == of.id)
        .where(*filters((of.institute, institute), (of.occasion, occasion)))
        .order_by(of.institute, of.order_number)
    )
    with engine.connect() as connection:
        return read(connection, wanted, OrderLine)


def occasion_of_order(engine: sa.Engine, institute: str, order: str) -> str | None:
    """The occasion that an order is for, or None if there is no such order."""
    with engine.connect() as connection:
        found: str | None = connection.scalar(
            sa.select(orders.c.occasion).where(orders.c.institute == institute, orders.c.order_number == order)
        )
    return found


def subscriber_lists(engine: sa.Engine, institute: str = "") -> list[SubscriberList]:
    """The subscriber lists with their number of people; of all, or of an institute."""
    of = orders.c
    c = lists.c
    people = sa.select(sa.func.count()).where(subscribers.c.list_id == c.id).correlate(lists).scalar_subquery()
    state = sa.case((c.frozen_at.is_not(None), "frozen"), (c.created_at.is_(None), "reserved"), else_="in use")
    wanted = (
        sa.select(
            *(c.institute, c.name),
            of.order_number.label("order"),
            c.order_name,
            people.label("people"),
            state.label("state"),
            *(c.reserved_at, c.created_at, c.frozen_at),
        )
        .join(orders, of.id == c.order_id)
        .where(*filters((c.institute, institute)))
        .order_by(c.institute, of.order_number, c.reserved_at)
    )
    with engine.connect() as connection:
        return read(connection, wanted, SubscriberList)
