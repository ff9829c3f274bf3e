"""What a run has to do on its day, and who has a delivery in hand. Knows no Airflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from reku.catalogue import Institute, institutes
from reku.catalogue.rhythm import Schedule, is_due, period
from reku.foundation import clock
from reku.foundation.errors import ConfigError
from reku.store.due import due_by
from reku.store.states import HOLDS_ITS_NUMBER, MAY_STILL_GO_OUT, STILL_TO_BE_LOADED, DeliveryState, MessageState
from reku.store.tables import deliveries, messages, orders, responses


@dataclass(frozen=True)
class Item:
    """One piece of work: a delivery, or an order whose delivery is expected. `label` is shown in Airflow's UI."""

    order: int
    delivery: int | None
    label: str

    def as_xcom(self) -> dict[str, int | str | None]:
        """For XCom: ids and the bank's and order's names, nothing of people."""
        return asdict(self)


def day_of(param: str | None, logical_date: object, run_after: object) -> date:
    """The calendar day a run is for: its param `day`, else its logical date, else the day it was started, in Berlin."""
    if param:
        return date.fromisoformat(param)
    moment = logical_date or run_after
    if not isinstance(moment, datetime):
        raise TypeError(f"a run without a date: {moment!r}")
    return clock.berlin(moment).date()


def due_items(engine: sa.Engine, occasion: str, day: date, today: date) -> list[Item]:
    """The work of a day for one occasion, in order of institute, order and delivery number.

    The run of the present day takes everything outstanding: deliveries not yet loaded, loaded ones with messages due,
    orders whose delivery is expected and not there. A run for a past day takes only what belongs to that very day.
    """
    past = day < today
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(
                deliveries.c.id,
                deliveries.c.institute,
                deliveries.c.order_id,
                deliveries.c.delivery_number,
                orders.c.order_number,
                orders.c.name,
            )
            .join(orders, orders.c.id == deliveries.c.order_id)
            .where(orders.c.occasion == occasion)
            .where(_not_loaded(day, past) | _loaded_with_due(day, past))
            .order_by(deliveries.c.institute, orders.c.order_number, deliveries.c.delivery_number)
        ).all()
        found = [
            Item(row.order_id, row.id, f"{bank_name(row.institute)} · {row.name} · {row.delivery_number:06d}")
            for row in rows
        ]
        expected = [
            Item(row.id, None, f"{bank_name(row.institute)} · {row.name}")
            for row in connection.execute(
                sa.select(orders)
                .where(orders.c.occasion == occasion)
                .order_by(orders.c.institute, orders.c.order_number)
            )
            if is_expected(connection, row, day)
        ]
    return found + expected


def _not_loaded(day: date, past: bool) -> sa.ColumnElement[bool]:
    registered = deliveries.c.day == day if past else deliveries.c.day <= day
    return deliveries.c.state.in_(STILL_TO_BE_LOADED) & registered


def _loaded_with_due(day: date, past: bool) -> sa.ColumnElement[bool]:
    open_due = (
        sa.exists()
        .where(messages.c.delivery_id == deliveries.c.id)
        .where(messages.c.state.in_(MAY_STILL_GO_OUT))
        .where(due_by(messages.c.due_at, day, only=day if past else None))
    )
    return (deliveries.c.state == DeliveryState.LOADED) & open_due


def handed_over_by(day: date, today: date, loaded_at: datetime | None) -> tuple[date, date | None]:
    """Which messages of a delivery a run hands over: those due up to a day, or exactly on the second one if given.

    The present day's run takes everything outstanding, a past day's run only what was due on that day. But what a past
    day's run has loaded late (after the night's grace, a repair, a backfill) was never due before: the present day's
    run may have listed its work by then, so it is handed over up to the present day.
    """
    if day >= today:
        return day, None
    if loaded_at is not None and clock.berlin(loaded_at).date() > day:
        return today, None
    return day, day


def loaded_at(engine: sa.Engine, delivery: int) -> datetime | None:
    """When a delivery was loaded, or None."""
    with engine.connect() as connection:
        found: datetime | None = connection.scalar(sa.select(deliveries.c.loaded_at).where(deliveries.c.id == delivery))
        return found


def is_expected(connection: sa.Connection, order: sa.Row[*tuple[object, ...]], day: date) -> bool:
    """Whether the order's delivery is due on that day and not there yet, in whatever state but refused."""
    schedule = schedule_of(order)
    if schedule is None or order.ended or not is_due(schedule, day):
        return False
    return delivery_for(connection, order.id, day) is None


def delivery_for(connection: sa.Connection, order: int, period_start: date) -> int | None:
    """The newest delivery of an order for the period that starts on that day, unless it was refused."""
    found: int | None = connection.scalar(
        sa.select(sa.func.max(deliveries.c.id)).where(
            deliveries.c.order_id == order,
            deliveries.c.period_start == period_start,
            deliveries.c.state.in_(HOLDS_ITS_NUMBER),
        )
    )
    return found


def schedule_of(order: sa.Row[*tuple[object, ...]]) -> Schedule | None:
    """The order's rhythm with the calendar of its bank; None where `bank_of` knows none."""
    bank = bank_of(order.institute)
    if bank is None:
        return None
    return Schedule(order.rhythm, order.valid_from, order.valid_until, bank.state, bank.daily_on, bank.due_on_holiday)


def period_name(engine: sa.Engine, order: int, day: date) -> str:
    """The period of an order that a day belongs to, for messages: `01.11.2026 – 30.11.2026`."""
    with engine.connect() as connection:
        row = connection.execute(sa.select(orders).where(orders.c.id == order)).one()
    schedule = schedule_of(row)
    found = period(schedule, day) if schedule else None
    if found is None or found.end == date.max or found.end - found.start == timedelta(days=1):
        return f"{day:%d.%m.%Y}"
    return f"{found.start:%d.%m.%Y} – {found.end - timedelta(days=1):%d.%m.%Y}"


def bank_of(institute: str) -> Institute | None:
    """A bank of the configuration. None when it has left it, or when its file is broken: that stops its own work only,
    and `report` names the fault.
    """
    try:
        return institutes().get(institute)
    except ConfigError:
        return None


def bank_name(institute: str) -> str:
    """The bank as people know it, else its BLZ."""
    known = bank_of(institute)
    return known.name if known else institute


def take_up(engine: sa.Engine, delivery: int, dag: str, run: str, is_alive: Callable[[str, str], bool]) -> str | None:
    """Take a delivery into the hands of a run. Returns None, or the run that has it and is still alive.

    Ownership is by run, not by try: a cleared or retried task of the owning run goes on. It falls free when the
    owning run has ended or is gone, which `is_alive(dag, run)` tells.
    """
    with engine.begin() as connection:
        owner = connection.execute(
            sa.select(deliveries.c.owner_dag, deliveries.c.owner_run)
            .where(deliveries.c.id == delivery)
            .with_for_update()
        ).one()
        if owner.owner_run and tuple(owner) != (dag, run) and is_alive(owner.owner_dag, owner.owner_run):
            return str(owner.owner_run)
        connection.execute(
            sa.update(deliveries).where(deliveries.c.id == delivery).values(owner_dag=dag, owner_run=run)
        )
    return None


def earlier_not_loaded(engine: sa.Engine, delivery: int) -> int | None:
    """Number of a lower-numbered delivery of the same order that is still to be loaded, or None."""
    this = deliveries.alias("this")
    with engine.connect() as connection:
        found: int | None = connection.scalar(
            sa.select(sa.func.min(deliveries.c.delivery_number))
            .select_from(deliveries.join(this, this.c.order_id == deliveries.c.order_id))
            .where(this.c.id == delivery, this.c.state != DeliveryState.LOADED)
            .where(deliveries.c.delivery_number < this.c.delivery_number)
            .where(deliveries.c.state.in_(STILL_TO_BE_LOADED))
        )
        return found


def expected_until(engine: sa.Engine, order: int, day: date) -> datetime:
    """Until when a run waits for an expected delivery: the order's Erwartet_bis of the next day (one night's grace)."""
    with engine.connect() as connection:
        by = connection.scalar(sa.select(orders.c.expected_by).where(orders.c.id == order))
    hour, minute = (by.hour, by.minute) if by else (6, 0)
    return clock.at(day + timedelta(days=1), hour, minute)


def last_handed_over(engine: sa.Engine, delivery: int) -> datetime | None:
    """When the last mail of a delivery was handed over, or None if none was."""
    with engine.connect() as connection:
        found: datetime | None = connection.scalar(
            sa.select(sa.func.max(messages.c.ended_at)).where(
                messages.c.delivery_id == delivery, messages.c.state == MessageState.SENT
            )
        )
        return found


def response_counts(engine: sa.Engine, delivery: int) -> dict[str, int]:
    """How many events of each kind a delivery has so far."""
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(responses.c.kind, sa.func.count())
            .join(messages, messages.c.id == responses.c.message_id)
            .where(messages.c.delivery_id == delivery)
            .group_by(responses.c.kind)
            .order_by(responses.c.kind)
        )
        return dict(map(tuple, rows))


def whose(engine: sa.Engine, delivery: int) -> tuple[str, int]:
    """Institute and order id of a delivery."""
    with engine.connect() as connection:
        institute, order = connection.execute(
            sa.select(deliveries.c.institute, deliveries.c.order_id).where(deliveries.c.id == delivery)
        ).one()
    return institute, order
