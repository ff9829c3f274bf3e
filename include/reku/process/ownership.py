"""Who has a delivery in hand: several runs may meet the same one, and the first that takes it up goes on with it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import sqlalchemy as sa

from reku.process.answers import Skip
from reku.store.locks import Lock, is_held, session_lock
from reku.store.tables import deliveries

OUTSIDE_AIRFLOW = "reku run"
"""Stands for the DAG where a run is none of Airflow's."""


@dataclass(frozen=True)
class OwningRun:
    """A run that has deliveries in hand: its DAG (or what else drives the stages) and its name in that."""

    dag: str
    run: str


IsAlive: TypeAlias = Callable[[OwningRun], bool]
"""Whether a run is still at work. Asked of whoever drives it."""


def take_up(engine: sa.Engine, delivery: int, owner: OwningRun, is_alive: IsAlive) -> Skip | None:
    """Take a delivery into the hands of a run. Returns None, or the reason to leave it to another one that lives.

    Ownership is by run, not by try: a cleared or retried task of the owning run goes on. It falls free when the
    owning run has ended or is gone.
    """
    with engine.begin() as connection:
        row = connection.execute(
            sa.select(deliveries.c.owner_dag, deliveries.c.owner_run)
            .where(deliveries.c.id == delivery)
            .with_for_update()
        ).one()
        present = OwningRun(row.owner_dag, row.owner_run) if row.owner_run else None
        if present and present != owner and is_alive(present):
            return Skip(f"Delivery {delivery} is in the hands of run {present.run}; nothing to do here.")
        connection.execute(
            sa.update(deliveries).where(deliveries.c.id == delivery).values(owner_dag=owner.dag, owner_run=owner.run)
        )
    return None


@contextmanager
def run_outside_airflow(engine: sa.Engine) -> Iterator[OwningRun]:
    """A run of the stages by a process of its own: alive until the process ends, however it ends."""
    number = secrets.randbelow(2**31)
    with session_lock(engine, Lock.RUN, number):
        yield OwningRun(OUTSIDE_AIRFLOW, str(number))


def is_alive_outside_airflow(engine: sa.Engine, owner: OwningRun) -> bool:
    """Whether the process of such a run is still at work."""
    with engine.connect() as connection:
        return is_held(connection, Lock.RUN, int(owner.run))
