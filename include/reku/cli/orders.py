"""`reku orders` and `reku lists`: what the control files have made."""

from __future__ import annotations

from typing import Annotated

import typer

from reku.cli.database import database
from reku.cli.options import Institute
from reku.cli.output import Json, show


def orders(
    institute: Institute = "",
    occasion: Annotated[
        str, typer.Option("--occasion", metavar="CODE", help="Only this occasion.", show_default=False)
    ] = "",
    as_json: Json = False,
) -> None:
    """List the orders that have a processed control file.

    The state is `active`, `ended` (by control file, or past valid_until), or `faulty` when the newest control file was.
    """
    import sqlalchemy as sa

    from reku.foundation import clock
    from reku.store import tables

    engine = database()  # first, since the clock is that of the set-up it joins
    of = tables.orders.c
    state = sa.case(
        (of.ended | (of.valid_until < clock.today()), "ended"), (of.faulty, "faulty"), else_="active"
    ).label("state")
    wanted = sa.select(
        of.institute,
        of.order_number.label("order"),
        of.name,
        of.occasion,
        of.rhythm,
        of.interface,
        of.origin,
        of.valid_from,
        of.valid_until,
        of.expected_by,
        state,
    ).order_by(of.institute, of.order_number)
    if institute:
        wanted = wanted.where(of.institute == institute)
    if occasion:
        wanted = wanted.where(of.occasion == occasion)
    with engine.connect() as connection:
        show(connection.execute(wanted).mappings(), as_json=as_json, nothing="No orders.")


def lists(institute: Institute = "", as_json: Json = False) -> None:
    """List the subscriber lists with their number of people.

    The state is `reserved` (no delivery yet), `in use`, or `frozen` since its order was renamed.
    """
    import sqlalchemy as sa

    from reku.store import tables

    of = tables.lists.c
    people = (
        sa.select(sa.func.count())
        .where(tables.subscribers.c.list_id == of.id)
        .correlate(tables.lists)
        .scalar_subquery()
        .label("people")
    )
    state = sa.case((of.frozen_at.is_not(None), "frozen"), (of.created_at.is_(None), "reserved"), else_="in use").label(
        "state"
    )
    wanted = (
        sa.select(
            of.institute,
            of.name,
            tables.orders.c.order_number.label("order"),
            of.order_name,
            people,
            state,
            of.reserved_at,
            of.created_at,
            of.frozen_at,
        )
        .join(tables.orders, tables.orders.c.id == of.order_id)
        .order_by(of.institute, tables.orders.c.order_number, of.reserved_at)
    )
    if institute:
        wanted = wanted.where(of.institute == institute)
    with database().connect() as connection:
        show(connection.execute(wanted).mappings(), as_json=as_json, nothing="No lists.")
