"""What a control file's row does to its order: create, change, rename, thaw, end (docs/domain.md, "Control files")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.records import Fault, FaultCode, FileRefused
from reku.sources.osplus import list_names
from reku.store.kinds import OsplusOrigin
from reku.store.tables import orders, osplus_orders


@dataclass(frozen=True)
class Announcement:
    """One row of a control file, read and checked.

    `own_occasion`: the code may be one of the bank's own. `origin` is empty if the sender did not say.
    """

    line: int
    event: str
    interface: str
    order_number: str
    name: str
    occasion: str
    own_occasion: bool
    rhythm: str
    valid_from: date
    valid_until: date | None
    list_name: str
    medium: str
    wanted_events: list[str] | None
    expected_by: time
    origin: str
    created_at: datetime


@dataclass(frozen=True)
class Carried:
    """What carrying out came to: whether anything changed, and warnings."""

    duplicate: bool
    warnings: tuple[Fault, ...] = ()


def find(connection: sa.Connection, institute: str, order_number: str) -> sa.Row[Any] | None:
    """The order's row, or None."""
    return connection.execute(_row(institute, order_number)).first()


def _row(institute: str, order_number: str) -> sa.Select[Any]:
    """The order with what only OSPlus has of it."""
    own = [column for column in osplus_orders.c if column.name not in ("order_id", "institute")]
    return (
        sa.select(orders, *own)
        .join(osplus_orders, osplus_orders.c.order_id == orders.c.id)
        .where(orders.c.institute == institute, orders.c.order_number == order_number)
    )


def carry_out(connection: sa.Connection, institute: Institute, news: Announcement) -> Carried:
    """Do what the row says, in the caller's transaction.

    Raises FileRefused (ANLASS_ABWEICHEND, AUFTRAG_UNBEKANNT, WIDERSPRUCH, LISTENLIMIT); the caller rolls back.
    """
    # Locked first, so that no delivery is being loaded into a list while the list is frozen.
    order = connection.execute(
        _row(institute.blz, news.order_number).with_for_update(key_share=True, of=orders)
    ).first()
    if order is not None and order.interface != news.interface:
        advice = (
            f"Die Nummer gehört zu einem Auftrag der Schnittstelle {order.interface}. Eine andere Nummer verwenden."
        )
        raise FileRefused([Fault(FaultCode.WIDERSPRUCH, news.line, advice=advice)])
    if news.event == "ENDE":
        return _end(connection, order, news)
    if order is None:
        # A change of an order unknown here counts as new: its first control file may have come too early.
        return _create(connection, institute, news)
    if order.occasion != news.occasion:
        advice = f"Der Auftrag läuft mit {order.occasion}. Für einen anderen Anlass einen neuen Auftrag anlegen."
        raise FileRefused([Fault(FaultCode.ANLASS_ABWEICHEND, news.line, "Anlass_Code", advice)])
    return _change(connection, institute, order, news)


def _content(news: Announcement) -> dict[str, Any]:
    return {
        "name": news.name,
        "rhythm": news.rhythm,
        "valid_from": news.valid_from,
        "valid_until": news.valid_until,
        "medium": news.medium,
        "wanted_events": news.wanted_events,
        "expected_by": news.expected_by,
    }


def _create(connection: sa.Connection, institute: Institute, news: Announcement) -> Carried:
    new = connection.execute(
        sa.insert(orders)
        .values(
            institute=institute.blz,
            order_number=news.order_number,
            occasion=news.occasion,
            **_content(news),
        )
        .returning(orders.c.id)
    ).scalar_one()
    connection.execute(
        sa.insert(osplus_orders).values(
            order_id=new,
            institute=institute.blz,
            interface=news.interface,
            origin=news.origin or OsplusOrigin.BANK,
            control_created_at=news.created_at,
        )
    )
    list_names.use(connection, institute, new, news.order_number, news.name, news.list_name)
    return Carried(duplicate=False)


def _change(connection: sa.Connection, institute: Institute, order: sa.Row[Any], news: Announcement) -> Carried:
    content, origin = _content(news), news.origin or order.origin
    same = origin == order.origin and all(getattr(order, field) == value for field, value in content.items())
    duplicate = same and not order.ended and not order.faulty
    list_name = list_names.use(connection, institute, order.id, order.order_number, news.name, news.list_name)
    connection.execute(sa.update(orders).where(orders.c.id == order.id).values(ended=False, **content))
    _note_good(connection, order, news, origin=origin)
    if list_names.is_made_from(list_name, news.list_name, order.order_number, news.name):
        return Carried(duplicate)
    advice = f"Die Liste dieses Auftragsnamens heißt {list_name} und behält ihren Namen."
    return Carried(duplicate, (Fault(FaultCode.LISTENNAME, news.line, "Listen_Name", advice),))


def _end(connection: sa.Connection, order: sa.Row[Any] | None, news: Announcement) -> Carried:
    if order is None:
        advice = "Der Auftrag ist hier nicht bekannt und kann nicht beendet werden. Auftragsnummer prüfen."
        raise FileRefused([Fault(FaultCode.AUFTRAG_UNBEKANNT, news.line, advice=advice)])
    connection.execute(sa.update(orders).where(orders.c.id == order.id).values(ended=True))
    _note_good(connection, order, news)
    return Carried(duplicate=order.ended and not order.faulty)


def _note_good(connection: sa.Connection, order: sa.Row[Any], news: Announcement, **more: str) -> None:
    """Its newest control file was good."""
    connection.execute(
        sa.update(osplus_orders)
        .where(osplus_orders.c.order_id == order.id)
        .values(faulty=False, control_created_at=news.created_at, **more)
    )
