"""Whom a run would select, counted without any effect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.catalogue.occasion import Window
from reku.catalogue.rhythm import Rhythm
from reku.catalogue.selection import Selection
from reku.sources.agree21.announcing import announcing, write_order
from reku.sources.agree21.selected_people import selected_people
from reku.store.tables import orders


def trial(
    engine: sa.Engine, bank: Institute, occasion: str, rule: Selection, window: Window, day: date
) -> list[dict[str, Any]]:
    """The funnel of a run on that day for each order of an occasion; `matched` is the sum of all that follow."""
    with tried_orders(engine, bank, occasion) as (connection, tried):
        return [
            {"order": order.order_number} | selected_people(connection, bank, order, rule, window, day).funnel
            for order in tried
        ]


@contextmanager
def tried_orders(
    engine: sa.Engine, bank: Institute, occasion: str
) -> Iterator[tuple[sa.Connection, list[sa.Row[Any]]]]:
    """The orders of an occasion as the bank's campaigns announce them, announced yet or not; without any an order "".

    Lasts for a transaction that is rolled back: what is not announced yet, and the table that deciding about people
    needs, leave with it.
    """
    with engine.connect() as connection:
        campaigns = {campaign.order: campaign for campaign in announcing(bank, occasion)}
        wanted = sa.select(orders).where(
            orders.c.institute == bank.blz,
            orders.c.occasion == occasion,
            orders.c.order_number.in_(list(campaigns) or [""]),
        )
        known = set(connection.scalars(wanted.with_only_columns(orders.c.order_number)))
        for campaign in campaigns.values():
            if campaign.announces and campaign.order not in known:
                write_order(connection, bank, campaign, campaign.announces)
        if not campaigns:
            _write_unnamed(connection, bank, occasion)
        yield connection, list(connection.execute(wanted.order_by(orders.c.order_number)))


def _write_unnamed(connection: sa.Connection, bank: Institute, occasion: str) -> None:
    """An order of no campaign."""
    content = {"order_number": "", "name": "", "rhythm": Rhythm.TAEGLICH, "valid_from": date.min}
    of_bank = {"institute": bank.blz, "occasion": occasion, "expected_by": bank.imports.data_by}
    connection.execute(sa.insert(orders).values(content | of_bank))
