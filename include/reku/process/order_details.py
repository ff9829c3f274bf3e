"""One order as a page shows it: rhythm, next dates, campaign, list, and its last deliveries with where people went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time

import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.foundation.words import Words
from reku.process.agenda import due_days
from reku.process.banks import Banks
from reku.process.warnings import warnings
from reku.store.tables import deliveries, lists, orders, osplus_orders, subscribers
from reku.views.funnel import FunnelRow, funnel_by_period

LAST = 12
"""So many deliveries are shown, and so many periods."""
NEXT, WITHIN = 5, 400
"""So many due dates are shown, looked for within so many days."""


@dataclass(frozen=True)
class OrderDelivery:
    """A delivery of the order, and the run of Airflow that has, or had, it in hand."""

    id: int
    number: int
    day: date
    state: str
    code: str
    rows: int | None
    accepted: int | None
    rejected: int | None
    owner_dag: str | None
    owner_run: str | None


@dataclass(frozen=True)
class OrderDetails:
    """An order in force or ended. `people`: on its list. `periods`: the newest first. `stop`: id of one in force."""

    institute: str
    bank: str
    order: str
    name: str
    occasion: str
    rhythm: str
    valid_from: date
    valid_until: date | None
    expected_by: time
    ended: bool
    list: str
    list_since: datetime | None
    people: int
    campaign: str
    play_out: time | None
    media: tuple[str, ...]
    next_dates: tuple[date, ...]
    warnings: tuple[Words, ...]
    stop: int | None
    deliveries: tuple[OrderDelivery, ...]
    periods: tuple[FunnelRow, ...]


def order_details(engine: sa.Engine, institute: str, order: str) -> OrderDetails:
    """What is known of an order. Raises StageError if there is none of that number."""
    bank = Banks().get(institute)
    with engine.connect() as connection:
        row = connection.execute(
            sa.select(orders, osplus_orders.c.faulty)
            .outerjoin(osplus_orders, osplus_orders.c.order_id == orders.c.id)
            .where(orders.c.institute == institute, orders.c.order_number == order)
        ).one_or_none()
        if row is None:
            raise StageError(f"{institute} has no order {order}. `reku orders` lists those there are.")
        people = sa.select(sa.func.count()).where(subscribers.c.list_id == lists.c.id).scalar_subquery()
        newest_list = connection.execute(
            sa.select(lists.c.name, lists.c.created_at, people.label("people"))
            .where(lists.c.order_id == row.id, lists.c.frozen_at.is_(None))
            .order_by(lists.c.id.desc())
            .limit(1)
        ).one_or_none()
        c = deliveries.c
        last = connection.execute(
            sa.select(*(c[name] for name in _OF_A_DELIVERY))
            .where(c.order_id == row.id)
            .order_by(c.delivery_number.desc(), c.id.desc())
            .limit(LAST)
        ).all()
        stops = stop_switches.of_order(connection, institute, order)
        since = connection.scalar(
            sa.select(sa.func.min(c.period_start)).where(c.id.in_([delivery.id for delivery in last]))
        )
    campaign = bank.campaign(order) if bank else None
    return OrderDetails(
        institute=institute,
        bank=bank.name if bank else institute,
        order=order,
        name=row.name,
        occasion=row.occasion,
        rhythm=row.rhythm,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        expected_by=row.expected_by,
        ended=row.ended,
        list=newest_list.name if newest_list else "",
        list_since=newest_list.created_at if newest_list else None,
        people=newest_list.people if newest_list else 0,
        campaign=campaign.name if campaign else "",
        play_out=campaign.play_out_time if campaign else None,
        media=campaign.send_media if campaign else (),
        next_dates=() if row.ended else tuple(due_days(row, bank, clock.today(), NEXT, WITHIN)),
        warnings=tuple(warnings(row, bank, is_faulty=bool(row.faulty), is_stopped=bool(stops))),
        stop=stops[0].id if stops else None,
        deliveries=tuple(
            OrderDelivery(
                one.id,
                one.delivery_number,
                one.day,
                one.state,
                one.code,
                one.rows,
                one.accepted,
                one.rejected,
                one.owner_dag,
                one.owner_run,
            )
            for one in last
        ),
        periods=tuple(reversed(funnel_by_period(engine, institute, order, since=since))) if since else (),
    )


_OF_A_DELIVERY = (
    "id",
    "delivery_number",
    "day",
    "state",
    "code",
    "rows",
    "accepted",
    "rejected",
    "owner_dag",
    "owner_run",
)
