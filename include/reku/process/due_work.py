"""What a run has to do on its day: deliveries that are there, and orders whose delivery is expected."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from typing import Any

import sqlalchemy as sa

from reku.catalogue import Institute
from reku.process.banks import Banks
from reku.process.run_options import EVERYTHING, RunOptions
from reku.process.systems import is_served, system_of
from reku.store.due import due_bounds
from reku.store.states import HOLDS_ITS_NUMBER, STILL_TO_BE_LOADED, DeliveryState, MessageState, in_states
from reku.store.tables import claims, deliveries, messages, orders

_OF_AN_ORDER = ("id", "institute", "order_number", "name", "occasion", "rhythm", "valid_from", "valid_until", "ended")
"""What is read of an order: what a source needs to say whether a delivery of it is expected, and its names."""


@dataclass(frozen=True)
class Item:
    """One piece of work: a delivery, or an order whose delivery is expected. `label` is shown to people."""

    order: int
    delivery: int | None
    label: str

    def as_xcom(self) -> dict[str, int | str | None]:
        """For XCom: ids and the bank's and order's names, nothing of people."""
        return asdict(self)


def due_items(
    engine: sa.Engine, occasion: str, day: date, today: date, institute: str = "", options: RunOptions = EVERYTHING
) -> list[Item]:
    """The work of a day for one occasion: deliveries, then expected ones, by institute, order and delivery number.

    With an `institute` (BLZ) only its own, with `options` what they ask for.

    The run of the present day takes everything outstanding: deliveries not yet loaded, loaded ones with messages due,
    orders whose delivery is expected and not there. A run for a past day takes only what belongs to that very day.
    """
    only = day if day < today else None
    begin, end = due_bounds(day, only)
    given = {"occasion": occasion, "institute": institute, "day": day, "since": only or date.min}
    with engine.connect() as connection:
        found = connection.execute(_due_work(), given | {"begin": begin, "end": end}).all()
    rows = [row for row in found if options.wants(row.institute, row.order_number)]
    banks = Banks()
    listed = [
        Item(row.id, row.delivery, banks.delivery_label(row.institute, row.name, row.delivery_number))
        for row in rows
        if row.delivery is not None
    ]
    expected = {
        row.id: Item(row.id, None, banks.order_label(row.institute, row.name))
        for row in rows
        if row.awaited and _is_expected(row, banks.get(row.institute), day)
        if not options.ignore_missing or _is_there(engine, row.id, banks.get(row.institute), day)
    }
    return [*listed, *expected.values()]


@cache
def _due_work() -> sa.Select[Any]:
    """The orders of an occasion with what is to be done of them; made once, since making it takes longer than asking.

    Asked so that indexes answer, however long the history is: of deliveries not loaded, of open messages, and of
    batches in somebody's hands, which are few.
    """
    institute, day = sa.bindparam("institute", type_=sa.Text), sa.bindparam("day", type_=sa.Date)
    ours = (
        sa.select(*(orders.c[name] for name in _OF_AN_ORDER))
        .where(orders.c.occasion == sa.bindparam("occasion"), (orders.c.institute == institute) | (institute == ""))
        .cte("ours")
    )
    of_orders = sa.select(deliveries.c.order_id, deliveries.c.id, deliveries.c.delivery_number).join(
        ours, ours.c.id == deliveries.c.order_id
    )
    loaded = of_orders.where(deliveries.c.state == DeliveryState.LOADED).cte("loaded")
    due = sa.and_(
        messages.c.delivery_id == loaded.c.id,
        messages.c.due_at >= sa.bindparam("begin"),
        messages.c.due_at < sa.bindparam("end"),
    )
    to_do = sa.union(
        of_orders.where(
            in_states(deliveries, STILL_TO_BE_LOADED), deliveries.c.day.between(sa.bindparam("since"), day)
        ),
        sa.select(loaded).where(sa.exists().where(due, in_states(messages, (MessageState.OPEN,)))),
        sa.select(loaded).where(
            sa.exists().where(claims.c.delivery_id == loaded.c.id),
            sa.exists().where(due, in_states(messages, (MessageState.CLAIMED,))),
        ),
    ).subquery("to_do")
    there = deliveries.alias("there")
    is_there = sa.exists().where(
        there.c.order_id == ours.c.id, there.c.period_start == day, in_states(there, HOLDS_ITS_NUMBER)
    )
    awaited = ~ours.c.ended & ~is_there
    return (
        sa.select(ours, awaited.label("awaited"), to_do.c.id.label("delivery"), to_do.c.delivery_number)
        .select_from(ours.outerjoin(to_do, to_do.c.order_id == ours.c.id))
        .where(to_do.c.id.is_not(None) | awaited)
        .order_by(ours.c.institute, ours.c.order_number, to_do.c.delivery_number)
    )


def _is_expected(order: sa.Row[Any], bank: Institute | None, day: date) -> bool:
    """Whether a delivery of the order (a row of `orders`) is due on that day; of a bank that is not known, none is."""
    return bank is not None and is_served(bank) and bool(system_of(bank).source.due_days(order, bank, [day]))


def _is_there(engine: sa.Engine, order: int, bank: Institute | None, day: date) -> bool:
    """Whether an expected delivery can be had without waiting for it."""
    return bank is not None and system_of(bank).source.is_there(engine, order, day)


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
