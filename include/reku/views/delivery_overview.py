"""Deliveries: how far each has come, and everything that is known of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from reku.store.delivery import load_delivery
from reku.store.replaced import replaced_by
from reku.store.states import DeliveryState
from reku.store.tables import deliveries, dispatches, files, lists, messages, orders, rejects, releases
from reku.views.rows import filters, read


@dataclass(frozen=True)
class DeliveryLine:
    """A delivery in a list. `code`: Fehler_Code of a refused or parked one; `asked`: since when a person is asked.

    `replaced_by`: id of the corrected one that took the place of a refused one.
    """

    id: int
    institute: str
    order: str
    number: int
    occasion: str
    day: date
    state: str
    rows: int | None
    accepted: int | None
    rejected: int | None
    code: str
    asked: datetime | None
    replaced_by: int | None


@dataclass(frozen=True)
class MessageCount:
    """How many messages of a delivery are in this state for this reason."""

    state: str
    reason: str
    count: int


@dataclass(frozen=True)
class RejectedRow:
    """A row that the gate keeps out: where it stands and what is wrong, nothing of what stands in it."""

    line: int
    reference: str
    field: str
    code: str
    advice: str


@dataclass(frozen=True)
class DeliveryDetails:
    """One delivery. `list`: name of its subscriber list; `decided_by`: empty where nobody was asked.

    `file`, `stored_as` and `received_at` are None where it came by no file.
    """

    id: int
    institute: str
    source: str
    contract: str
    order: str
    number: int
    occasion: str
    state: str
    code: str
    advice: str
    file: str | None
    stored_as: str | None
    received_at: datetime | None
    created_at: datetime
    day: date
    period_start: date | None
    list: str | None
    rows: int | None
    accepted: int | None
    rejected: int | None
    asked_at: datetime | None
    decision: str | None
    decided_at: datetime | None
    decided_by: str | None
    released_at: datetime | None
    loaded_at: datetime | None
    control_copy_at: datetime | None
    canary_until: datetime | None
    canary_passed_at: datetime | None
    owner_dag: str | None
    owner_run: str | None
    messages: tuple[MessageCount, ...]
    rejected_rows: tuple[RejectedRow, ...]


def occasion_of(engine: sa.Engine, delivery_id: int) -> str | None:
    """The occasion that a delivery is for, or None if there is no such delivery."""
    with engine.connect() as connection:
        found: str | None = connection.scalar(
            sa.select(orders.c.occasion)
            .join(deliveries, deliveries.c.order_id == orders.c.id)
            .where(deliveries.c.id == delivery_id)
        )
    return found


@dataclass(frozen=True)
class DeliveryOfRun:
    """A delivery that a run of Airflow has, or had, in hand."""

    id: int
    institute: str
    order: str
    name: str
    number: int
    state: str
    rows: int | None
    accepted: int | None
    rejected: int | None


def deliveries_of_run(engine: sa.Engine, dag: str, run: str) -> list[DeliveryOfRun]:
    """The deliveries that this run took up, by bank and order."""
    of = deliveries.c
    wanted = (
        sa.select(
            of.id,
            of.institute,
            of.order_number.label("order"),
            sa.func.coalesce(orders.c.name, "").label("name"),
            of.delivery_number.label("number"),
            *(of.state, of.rows, of.accepted, of.rejected),
        )
        .outerjoin(orders, orders.c.id == of.order_id)
        .where(of.owner_dag == dag, of.owner_run == run)
        .order_by(of.institute, of.order_number, of.delivery_number)
    )
    with engine.connect() as connection:
        return read(connection, wanted, DeliveryOfRun)


def delivery_lines(engine: sa.Engine, institute: str = "", order: str = "", state: str = "") -> list[DeliveryLine]:
    """The deliveries, newest first; all, or those of an institute, an order number, a state.

    Refused ones that are asked for by their state are those that still wait for a corrected one.
    """
    of = deliveries.c
    waits = (releases.c.delivery_id == of.id) & releases.c.decision.is_(None)
    in_its_place = replaced_by()
    wanted = (
        sa.select(
            of.id,
            of.institute,
            of.order_number.label("order"),
            of.delivery_number.label("number"),
            of.occasion,
            of.day,
            of.state,
            of.rows,
            of.accepted,
            of.rejected,
            of.code,
            releases.c.asked_at.label("asked"),
            in_its_place.label("replaced_by"),
        )
        .outerjoin(releases, waits)
        .where(*filters((of.institute, institute), (of.order_number, order), (of.state, state)))
        .order_by(of.id.desc())
    )
    if state == DeliveryState.REFUSED:
        wanted = wanted.where(in_its_place.is_(None))
    with engine.connect() as connection:
        return read(connection, wanted, DeliveryLine)


def delivery_details(engine: sa.Engine, delivery_id: int) -> DeliveryDetails:
    """One delivery. Raises StageError if there is none with this id."""
    with engine.connect() as connection:
        known = load_delivery(connection, delivery_id, _details())
        return DeliveryDetails(
            **known._mapping,
            messages=tuple(read(connection, _messages(delivery_id), MessageCount)),
            rejected_rows=tuple(read(connection, _rejects(delivery_id), RejectedRow)),
        )


def _details() -> sa.Select[Any]:
    of = deliveries.c
    return (
        sa.select(
            of.id,
            of.institute,
            of.source,
            of.contract,
            of.order_number.label("order"),
            of.delivery_number.label("number"),
            of.occasion,
            of.state,
            of.code,
            of.advice,
            files.c.file_name.label("file"),
            files.c.stored_as,
            files.c.received_at,
            of.created_at,
            of.day,
            of.period_start,
            lists.c.name.label("list"),
            of.rows,
            of.accepted,
            of.rejected,
            releases.c.asked_at,
            releases.c.decision,
            releases.c.decided_at,
            releases.c.actor.label("decided_by"),
            of.released_at,
            of.loaded_at,
            dispatches.c.control_copy_at,
            dispatches.c.canary_until,
            dispatches.c.canary_passed_at,
            of.owner_dag,
            of.owner_run,
        )
        .outerjoin(files, files.c.id == of.file_id)
        .outerjoin(dispatches, dispatches.c.delivery_id == of.id)
        .outerjoin(lists, lists.c.id == of.list_id)
        .outerjoin(releases, releases.c.delivery_id == of.id)
    )


def _messages(delivery_id: int) -> sa.Select[Any]:
    return (
        sa.select(messages.c.state, messages.c.reason, sa.func.count().label("count"))
        .where(messages.c.delivery_id == delivery_id)
        .group_by(messages.c.state, messages.c.reason)
        .order_by(messages.c.state, messages.c.reason)
    )


def _rejects(delivery_id: int) -> sa.Select[Any]:
    c = rejects.c
    return (
        sa.select(c.line, c.reference, c.field, c.code, c.advice).where(c.delivery_id == delivery_id).order_by(c.line)
    )
