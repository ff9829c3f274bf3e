"""Acts on stops of the dispatch."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.foundation.words import Words
from reku.process.acts.act import Act, Concern, may_still_get, number_of
from reku.process.banks import bank_name
from reku.store.tables import messages, orders, stops

EVERYTHING = "everything"
"""The subject of a stop of all dispatch; else it is a BLZ, or a BLZ and an order number with a hyphen between."""


def _look_at_stop(engine: sa.Engine, subject: str) -> Concern:
    with engine.connect() as connection:
        stop = connection.execute(sa.select(stops).where(stops.c.id == number_of(subject))).one_or_none()
        if stop is None:
            raise StageError(f"There is no stop {subject}.")
        over = None
        if stop.lifted_at is not None:
            at = f"{clock.berlin(stop.lifted_at):%d.%m.%Y %H:%M}"
            over = Words(
                f"{stop.lifted_by} hat diesen Halt am {at} aufgehoben.", f"{stop.lifted_by} lifted this stop on {at}."
            )
        return _scope(connection, stop.institute or "", stop.order_number or "", over)


def _lift(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    stop_switches.lift(engine, int(subject), actor=actor, note=note)
    return Words(
        "Aufgehoben. Die fehlgeschlagenen Tasks `dispatch` jetzt noch einmal versuchen.",
        "Lifted. Now try the failed `dispatch` tasks again.",
    )


def _look_at_scope(engine: sa.Engine, subject: str) -> Concern:
    institute, order = _scope_of(subject)
    with engine.connect() as connection:
        for stop in stop_switches.in_force(connection):
            if ((stop.institute or ""), (stop.order or "")) == (institute, order):
                at = f"{clock.berlin(stop.since):%d.%m.%Y %H:%M}"
                over = Words(f"{stop.actor} hat das am {at} angehalten.", f"{stop.actor} stopped this on {at}.")
                return _scope(connection, institute, order, over)
        return _scope(connection, institute, order, None)


def _scope_of(subject: str) -> tuple[str, str]:
    """Bank and order, both empty for everything, and only for what is called so."""
    if subject == EVERYTHING:
        return "", ""
    institute, _, order = subject.partition("-")
    if not institute:
        raise StageError("Nothing was named that could be stopped.")
    return institute, order


def _scope(connection: sa.Connection, institute: str, order: str, over: Words | None) -> Concern:
    """Everything, a bank or an order of it, and how many people of it may still get something."""
    if not institute:
        return Concern(people=may_still_get(connection), over=over)
    known = sa.select(orders.c.id, orders.c.occasion, orders.c.name).where(orders.c.institute == institute)
    rows = connection.execute(known.where(orders.c.order_number == order) if order else known).all()
    if not rows:
        raise StageError(f"{institute} has no order {order}." if order else f"No institute {institute} has an order.")
    people = may_still_get(connection, messages.c.order_id.in_([row.id for row in rows]))
    occasion, what = (rows[0].occasion, f"{order} {rows[0].name}") if order else ("", "")
    return Concern(institute, bank_name(institute), occasion, order, what, people, over)


def _stop(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    institute, order = _scope_of(subject)
    stop = stop_switches.throw(engine, institute=institute or None, order=order or None, actor=actor, note=note)
    return Words(
        f"Angehalten (Halt {stop}): in spätestens zwei Sekunden wird keine Mail mehr begonnen.",
        f"Stopped (stop {stop}): within two seconds no further mail is begun.",
    )


STOP_ACTS: Mapping[str, Act] = {
    "lift": Act(
        Words("Halt aufheben", "Lift the stop"),
        Words(
            "Danach darf wieder versandt werden. Von allein geht dadurch nichts hinaus: die fehlgeschlagenen Tasks"
            " `dispatch` noch einmal versuchen.",
            "Mails may go out again. Nothing is sent by that alone: try the failed `dispatch` tasks again.",
        ),
        _look_at_stop,
        _lift,
    ),
    "stop": Act(
        Words("Versand anhalten", "Stop the dispatch"),
        Words(
            "Innerhalb von zwei Sekunden wird keine Mail mehr begonnen; was nicht begonnen ist, bleibt offen.",
            "Within two seconds no further mail is begun; what was not begun stays open.",
        ),
        _look_at_scope,
        _stop,
    ),
}
