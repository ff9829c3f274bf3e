"""The system that takes the messages is away: nothing is lost by waiting, so the dispatch comes back by itself."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.foundation import clock
from reku.store.tables import deliveries, dispatches

TRY_AGAIN_AFTER = (60, 300, 900)
"""Seconds until a delivery's next try after the first, second … one in a row that found nobody there."""


def next_try(engine: sa.Engine, delivery: int) -> datetime:
    """Note a try in vain of a delivery, and say when the next one is to be made."""
    row = sa.select(deliveries.c.id, deliveries.c.institute, sa.literal(1)).where(deliveries.c.id == delivery)
    noted = insert(dispatches).from_select(["delivery_id", "institute", "tries_in_vain"], row)
    one_more = {"tries_in_vain": dispatches.c.tries_in_vain + 1}
    upsert = noted.on_conflict_do_update(index_elements=["delivery_id"], set_=one_more)
    with engine.begin() as connection:
        tries = connection.execute(upsert.returning(dispatches.c.tries_in_vain)).scalar_one()
    return clock.now() + timedelta(seconds=TRY_AGAIN_AFTER[min(tries, len(TRY_AGAIN_AFTER)) - 1])


def note_end(engine: sa.Engine, delivery: int) -> None:
    """The system takes messages of the delivery again, if it did not."""
    was_away = sa.and_(dispatches.c.delivery_id == delivery, dispatches.c.tries_in_vain > 0)
    with engine.begin() as connection:
        connection.execute(sa.update(dispatches).where(was_away).values(tries_in_vain=0))
