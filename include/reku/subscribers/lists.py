"""What people want to know about lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from reku.store.tables import lists, orders, subscribers


@dataclass(frozen=True)
class ListSize:
    """One subscriber list. `created_at` is None until its first delivery, `frozen_at` while it may be filled."""

    list_id: int
    name: str
    order_number: str
    people: int
    created_at: datetime | None
    frozen_at: datetime | None


def list_sizes(engine: sa.Engine, institute: str) -> list[ListSize]:
    """All lists of an institute with the number of their people, by name; they count towards the limit of 150."""
    people = sa.func.count(subscribers.c.id)
    with engine.connect() as connection:
        found = connection.execute(
            sa.select(lists.c.id, lists.c.name, orders.c.order_number, people, lists.c.created_at, lists.c.frozen_at)
            .join(orders, orders.c.id == lists.c.order_id)
            .outerjoin(subscribers, subscribers.c.list_id == lists.c.id)
            .where(lists.c.institute == institute)
            .group_by(lists.c.id, orders.c.order_number)
            .order_by(lists.c.name)
        )
        return [ListSize(*row) for row in found]
