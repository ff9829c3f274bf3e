"""Whom a run would select, counted without any effect."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.catalogue.occasion import Window
from reku.catalogue.selection import Selection
from reku.sources.agree21.selected_people import selected_people
from reku.store.tables import orders

_NOT_ANNOUNCED = 0
"""No order has this id: there is nobody yet who has a message of it."""


def trial(
    engine: sa.Engine, bank: Institute, occasion: str, rule: Selection, window: Window, day: date
) -> list[dict[str, Any]]:
    """The funnel of a run on that day, for each order of an occasion: `matched` pairs are the sum of all that follow.

    Orders are those of the bank's campaigns, announced yet or not; without any it is asked for an order "". The
    transaction is rolled back: deciding about people needs a table of its own, which leaves with it.
    """
    with engine.connect() as connection:
        return [
            {"order": order.order_number} | selected_people(connection, bank, order, rule, window, day).funnel
            for order in _orders(connection, bank, occasion)
        ]


def _orders(connection: sa.Connection, bank: Institute, occasion: str) -> Iterator[sa.Row[Any]]:
    """Number and id of each order."""
    announced = [one.order for one in bank.campaigns if one.announces and one.announces.occasion == occasion]
    for number in announced or [""]:
        known = sa.select(sa.func.max(orders.c.id)).where(
            orders.c.institute == bank.blz, orders.c.order_number == number, orders.c.occasion == occasion
        )
        order = sa.func.coalesce(known.scalar_subquery(), _NOT_ANNOUNCED)
        yield connection.execute(sa.select(order.label("id"), sa.literal(number).label("order_number"))).one()
