"""Tasks that have failed for good, on record with us: whoever tells people cannot ask Airflow from within a task."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.foundation import clock
from reku.store.tables import deliveries, orders, task_failures

NAMED_DAYS = 3
"""So long a task that failed and that nobody has made good is named."""


@dataclass(frozen=True)
class FailedWork:
    """A task that failed, whatever run it is of. `label`: bank, order and delivery of a mapped one, else empty.

    `institute`, `order_id`: None where it concerns no single one; `occasion`: empty for a task of the system.
    """

    dag: str
    task: str
    label: str
    institute: str | None
    order_id: int | None
    occasion: str


@dataclass(frozen=True)
class TaskFailure:
    """A task that failed and is not made good; `order`: number of the order, or empty."""

    dag: str
    task: str
    label: str
    institute: str | None
    occasion: str
    at: datetime
    order: str


def failures(connection: sa.Connection) -> list[TaskFailure]:
    """Those of the last days, the oldest first."""
    c = task_failures.c
    rows = connection.execute(
        sa.select(
            *(c.dag, c.task, c.label, c.institute, c.occasion, c.at),
            sa.func.coalesce(orders.c.order_number, "").label("order"),
        )
        .outerjoin(orders, orders.c.id == c.order_id)
        .where(c.at >= clock.now() - timedelta(days=NAMED_DAYS))
        .order_by(c.at)
    )
    return [TaskFailure(**row._mapping) for row in rows]


def note_failed(engine: sa.Engine, work: FailedWork, delivery: int | None = None) -> None:
    """Put it down, and forget those that are too old to be named. `delivery`: the one it is about tells its order."""
    now = clock.now()
    with engine.begin() as connection:
        of = asdict(work) | {"at": now}
        if delivery is not None:
            of["order_id"] = connection.scalar(sa.select(deliveries.c.order_id).where(deliveries.c.id == delivery))
        if of["order_id"] is not None:
            of["institute"] = connection.scalar(sa.select(orders.c.institute).where(orders.c.id == of["order_id"]))
        put = insert(task_failures).values(of)
        key = ("dag", "task", "label")
        connection.execute(
            put.on_conflict_do_update(
                index_elements=key, set_={name: put.excluded[name] for name in of if name not in key}
            )
        )
        connection.execute(sa.delete(task_failures).where(task_failures.c.at < now - timedelta(days=NAMED_DAYS)))


def note_made_good(engine: sa.Engine, dag: str, task: str, label: str) -> None:
    """The same task of the same thing has come through."""
    c = task_failures.c
    with engine.begin() as connection:
        connection.execute(sa.delete(task_failures).where(c.dag == dag, c.task == task, c.label == label))
