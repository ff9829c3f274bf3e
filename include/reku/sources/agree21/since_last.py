"""How whom a rule matches today differs from whom the last run selected, in numbers only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.catalogue.occasion import Window
from reku.catalogue.selection import Selection
from reku.sources.agree21.selecting import candidates
from reku.store.tables import deliveries, delivery_rows, messages, orders, persons, selected_rows, selections


@dataclass(frozen=True)
class DiffResult:
    """Pairs of person and Anlass_Datum, of the last selection of an order (by its number) and of today.

    Before = stayed + window_over + not_in_data + rule_not_met; matched = stayed + window_opened + met_since. `before`
    counts what is still known of the last run's rows, `selected` what its funnel says.
    """

    order: str
    selected_on: date | None
    selected: int
    before: int
    stayed: int
    window_over: int
    not_in_data: int
    rule_not_met: int
    matched: int
    window_opened: int
    met_since: int


def since_last(
    engine: sa.Engine, bank: Institute, occasion: str, rule: Selection, window: Window, day: date
) -> list[DiffResult]:
    """What has come and gone since the last selection of each order of an occasion; where none was, all has come."""
    wanted = sa.select(orders).where(orders.c.institute == bank.blz, orders.c.occasion == occasion)
    with engine.connect() as connection:
        return [
            _compared(connection, rule, window, order, day, campaign.impulses if campaign else ())
            for order in connection.execute(wanted.order_by(orders.c.id)).all()
            for campaign in [bank.campaign(order.order_number)]
        ]


def _compared(
    connection: sa.Connection, rule: Selection, window: Window, order: sa.Row[Any], day: date, codes: Collection[str]
) -> DiffResult:
    institute = order.institute
    last = connection.execute(
        sa.select(selections)
        .join(deliveries, deliveries.c.id == selections.c.delivery_id)
        .where(deliveries.c.order_id == order.id)
        .order_by(selections.c.delivery_id.desc())
        .limit(1)
    ).one_or_none()
    before = _pairs_of(last.delivery_id if last else 0).cte("before").prefix_with("MATERIALIZED")
    now = candidates(rule, window, institute, day, codes).cte("now").prefix_with("MATERIALIZED")
    both = (before.c.person_number == now.c.person_number) & (before.c.occasion_date == now.c.occasion_date)
    joined = before.join(now, both, full=True)
    person = sa.func.coalesce(before.c.person_number, now.c.person_number)
    is_there = sa.exists().where(
        persons.c.institute == institute, persons.c.person_number == person, persons.c.missing_since.is_(None)
    )
    was, is_ = before.c.person_number.is_not(None), now.c.person_number.is_not(None)
    on = before.c.occasion_date
    is_over = ~on.between(day - timedelta(days=window.last_day), day - timedelta(days=window.first_day))
    opened = sa.false()
    if last is not None:
        opened = now.c.occasion_date + window.first_day > last.selected_on
    met: dict[str, sa.ColumnElement[bool]] = {
        "before": was,
        "stayed": was & is_,
        "window_over": was & ~is_ & is_over,
        "not_in_data": was & ~is_ & ~is_over & ~is_there,
        "rule_not_met": was & ~is_ & ~is_over & is_there,
        "matched": is_,
        "window_opened": ~was & is_ & opened,
        "met_since": ~was & is_ & ~opened,
    }
    counted = sa.select(*(sa.func.count().filter(condition).label(name) for name, condition in met.items()))
    numbers = connection.execute(counted.select_from(joined)).mappings().one()
    return DiffResult(
        order=order.order_number,
        selected_on=last.selected_on if last else None,
        selected=last.funnel.get("selected", 0) if last else 0,
        **numbers,
    )


def _pairs_of(delivery: int) -> sa.CompoundSelect[Any]:
    """The pairs of a selection, wherever its rows stand by now: they leave with their mails, the ledger stays."""
    return sa.union(
        *(
            sa.select(table.c.person_number, table.c.occasion_date).where(table.c.delivery_id == delivery)
            for table in (selected_rows, delivery_rows, messages)
        )
    )
