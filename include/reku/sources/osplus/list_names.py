"""Names and places of subscriber lists: at most 150, one per (order, order name), never a running number."""

from __future__ import annotations

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.records import Fault, FaultCode, FileRefused
from reku.store.tables import lists

MOST_LISTS = 150
"""Lists an institute may have, reserved and frozen ones counted (docs/domain.md, "Subscriber lists")."""


def use(
    connection: sa.Connection, institute: Institute, order_id: int, order_number: str, order_name: str, wanted: str
) -> str:
    """Make the list of (order, order name) the order's only unfrozen one; reserve it if there is none yet.

    `wanted` is the name asked for. Returns the name that the list has. Raises FileRefused with LISTENLIMIT if there is
    no place for another list, or with WIDERSPRUCH if no name can be made; the caller's transaction undoes the rest.
    """
    mine = connection.execute(
        sa.select(lists.c.id, lists.c.name).where(lists.c.order_id == order_id, lists.c.order_name == order_name)
    ).first()
    if mine is None:
        _require_place(connection, institute)
    connection.execute(
        sa.update(lists)
        .where(lists.c.order_id == order_id, lists.c.order_name != order_name, lists.c.frozen_at.is_(None))
        .values(frozen_at=clock.now())
    )
    if mine is not None:
        connection.execute(sa.update(lists).where(lists.c.id == mine.id).values(frozen_at=None))
        return str(mine.name)
    name = _free_name(connection, institute.blz, order_id, order_number, order_name, wanted)
    connection.execute(
        sa.insert(lists).values(
            institute=institute.blz, order_id=order_id, order_name=order_name, name=name, reserved_at=clock.now()
        )
    )
    return name


def is_made_from(name: str, wanted: str, order_number: str, order_name: str) -> bool:
    """Whether a list's name is the wanted one or was made from it because that was taken."""
    number, title = f"_{order_number}", f"_{order_name}"
    return name in {wanted + end for end in ("", number, title, number + title, title + number)}


def _require_place(connection: sa.Connection, institute: Institute) -> None:
    of_institute = lists.c.institute == institute.blz
    count = connection.execute(sa.select(sa.func.count()).where(of_institute)).scalar_one()
    if count < MOST_LISTS:
        return
    linked = {campaign.start_list for campaign in institute.campaigns}
    frozen = connection.execute(
        sa.select(lists.c.name)
        .where(of_institute, lists.c.frozen_at.is_not(None))
        .order_by(lists.c.frozen_at, lists.c.id)
    ).scalars()
    spare = [name for name in frozen if name not in linked]
    named = f"Eingefroren und unverknüpft: {', '.join(spare)}" if spare else "Keine davon ist eingefroren"
    advice = f"{count} von {MOST_LISTS} Abolisten belegt. Erst eine Liste löschen. {named}."
    raise FileRefused([Fault(FaultCode.LISTENLIMIT, advice=advice)])


def _free_name(
    connection: sa.Connection, institute: str, order_id: int, order_number: str, order_name: str, wanted: str
) -> str:
    """The wanted name; taken by another order: with `_<Auftrags_Nr>`; by this one: with `_<Auftrags_Bezeichnung>`."""
    name = wanted
    ends = {False: f"_{order_number}", True: f"_{order_name}"}
    while True:
        holder = connection.execute(
            sa.select(lists.c.order_id).where(lists.c.institute == institute, lists.c.name == name)
        ).scalar()
        if holder is None:
            return name
        end = ends.pop(holder == order_id, None)
        if end is None:
            advice = f"Der Listenname {name} ist vergeben. Einen anderen Listen_Name angeben."
            raise FileRefused([Fault(FaultCode.WIDERSPRUCH, field="Listen_Name", advice=advice)])
        name += end
