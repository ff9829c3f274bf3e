"""One delivery by its id: what every stage and command begins with."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.store.tables import deliveries


def load_delivery(connection: sa.Connection, delivery_id: int, what: sa.Select[Any] | None = None) -> sa.Row[Any]:
    """The row of a delivery: all columns of `deliveries`, or what a select from that table asks for.

    Raises StageError if there is no such delivery.
    """
    wanted = sa.select(deliveries) if what is None else what
    found = connection.execute(wanted.where(deliveries.c.id == delivery_id)).one_or_none()
    if found is None:
        raise StageError(f"There is no delivery {delivery_id}. `reku deliveries list` lists those that are known.")
    return found
