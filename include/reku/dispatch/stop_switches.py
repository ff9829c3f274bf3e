"""Stop switches of the dispatch: for one order, one institute or everything; audited.

People throw and lift them; an order is stopped by itself where a delivery's mails are taken badly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.errors import StageError, suggest
from reku.store.audit import put_on_record
from reku.store.tables import orders, stops


class Stopped(StageError):
    """This dispatch is stopped; everything not handed over is still open."""


@dataclass(frozen=True)
class Stop:
    """A stop in force: of everything, of an institute, or of an order of it; `delivery`: whose mails threw it."""

    id: int
    institute: str | None
    order: str | None
    since: datetime
    actor: str
    note: str
    delivery: int | None = None

    def __str__(self) -> str:
        """Who stopped what and when, without the note: that is for people who ask, not for logs."""
        since = clock.berlin(self.since)
        return f"{self.actor} stopped {scope(self.institute, self.order)} on {since:%d.%m.%Y at %H:%M} (stop {self.id})"


def scope(institute: str | None, order: str | None) -> str:
    """What is stopped, in words."""
    if institute is None:
        return "all dispatch"
    return f"the dispatch of {f'order {order} of ' if order else ''}institute {institute}"


def throw(
    engine: sa.Engine, *, institute: str | None, order: str | None, actor: str, note: str, delivery: int | None = None
) -> int:
    """Stop the dispatch of an order, of an institute (`order` None) or of everything (both None). Returns its id.

    `delivery`: the one whose mails were taken so badly that nobody was asked.

    Running dispatches obey within two seconds. Raises StageError for an institute or order that nobody knows: it would
    stop nothing.
    """
    with engine.begin() as connection:
        _check_known(connection, institute, order)
        new: int = connection.execute(
            sa.insert(stops)
            .values(
                institute=institute,
                order_number=order,
                since=clock.now(),
                actor=actor,
                note=note,
                delivery_id=delivery,
            )
            .returning(stops.c.id)
        ).scalar_one()
        put_on_record(connection, institute, actor=actor, action="stop", subject=f"stops:{new}", note=note)
    return new


def _check_known(connection: sa.Connection, institute: str | None, order: str | None) -> None:
    if institute is None:
        return
    banks = connection.scalars(sa.select(orders.c.institute).distinct()).all()
    if institute not in banks:
        raise _unknown(f"No institute {institute} has an order", "reku orders", institute, banks)
    numbers = connection.scalars(sa.select(orders.c.order_number).where(orders.c.institute == institute)).all()
    if order is not None and order not in numbers:
        raise _unknown(f"{institute} has no order {order}", f"reku orders --institute {institute}", order, numbers)


def _unknown(what: str, command: str, value: str, valid: Sequence[str]) -> StageError:
    near = suggest(value, valid)
    hint = f" Did you mean {near}?" if near else ""
    return StageError(f"{what}: nothing is stopped.{hint} `{command}` lists those there are.")


def lift(engine: sa.Engine, stop: int, *, actor: str, note: str) -> None:
    """Let dispatch go on. Raises StageError if there is no such stop in force."""
    with engine.begin() as connection:
        lifted = connection.execute(
            sa.update(stops)
            .where(stops.c.id == stop, stops.c.lifted_at.is_(None))
            .values(lifted_at=clock.now(), lifted_by=actor)
            .returning(stops.c.institute)
        ).one_or_none()
        if lifted is None:
            raise StageError(f"There is no stop {stop} in force. `reku stop list` shows those there are.")
        put_on_record(connection, lifted.institute, actor=actor, action="lift stop", subject=f"stops:{stop}", note=note)


def in_force(connection: sa.Connection) -> list[Stop]:
    """All stops in force, the oldest first."""
    return _in_force(connection, sa.true())


def of_occasion(connection: sa.Connection, occasion: str) -> list[Stop]:
    """The stops in force that concern orders of an occasion, but for ended ones."""
    ordered = sa.exists().where(orders.c.occasion == occasion, ~orders.c.ended)
    return _in_force(connection, ordered.where(_concerns(orders.c.institute, orders.c.order_number)).correlate(stops))


def of_order(connection: sa.Connection, institute: str, order: str) -> list[Stop]:
    """The stops in force that concern an order of an institute, the oldest first."""
    return _in_force(connection, _concerns(sa.literal(institute), sa.literal(order)))


def _concerns(institute: sa.ColumnElement[str], order: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return (stops.c.institute.is_(None) | (stops.c.institute == institute)) & (
        stops.c.order_number.is_(None) | (stops.c.order_number == order)
    )


def _in_force(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[Stop]:
    rows = connection.execute(
        sa.select(
            *(stops.c.id, stops.c.institute, stops.c.order_number, stops.c.since, stops.c.actor, stops.c.note),
            stops.c.delivery_id,
        )
        .where(stops.c.lifted_at.is_(None), condition)
        .order_by(stops.c.id)
    )
    return [Stop(*row) for row in rows]


def check_stops(connection: sa.Connection, institute: str, order: str) -> None:
    """Raise Stopped if a stop in force concerns the order."""
    present = of_order(connection, institute, order)
    if present:
        raise Stopped(
            f"{'; '.join(map(str, present))}. Everything not handed over is still open. To go on, `reku stop lift "
            f"{present[0].id} --note …`{' and the others' if present[1:] else ''}, then clear `dispatch`."
        )
