"""The housekeeping DAG removes what has had its time, and nothing earlier."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from reku.store.states import DeliveryState, MessageState
from reku.store.tables import delivery_rows
from reku_testing import world

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)


def test_delivered_rows_leave_soon_after_sending(
    database: sa.Engine, clock_at: Callable[[datetime], None], run_dag: Callable[..., Any]
) -> None:
    delivery = world.delivery(database, world.order(database), state=DeliveryState.LOADED)
    sent, waiting = world.rows(database, delivery, [world.reku_fields(1), world.reku_fields(2)])
    world.message(database, sent, state=MessageState.SENT, begun_at=NOON, ended_at=NOON)
    world.message(database, waiting)
    for moment, left in ((NOON + timedelta(minutes=50), {sent, waiting}), (NOON + timedelta(minutes=70), {waiting})):
        clock_at(moment)
        assert run_dag("reku_housekeeping").state == "success"
        with database.connect() as connection:
            assert set(connection.scalars(sa.select(delivery_rows.c.id))) == left
