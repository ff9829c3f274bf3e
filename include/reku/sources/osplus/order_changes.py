"""What a control file's row does to its order: create, change, rename, thaw, end (docs/domain.md, "Control files")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.records import Fault, FaultCode, FileRefused
from reku.sources.osplus import list_names
from reku.store.tables import orders


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
    response_scope: str
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
    return sa.select(orders).where(orders.c.institute == institute, orders.c.order_number == order_number)


def carry_out(connection: sa.Connection, institute: Institute, news: Announcement) -> Carried:
    """Do what the row says, in the caller's transaction.

    Raises FileRefused (ANLASS_ABWEICHEND, AUFTRAG_UNBEKANNT, WIDERSPRUCH, LISTENLIMIT); the caller rolls back.
    """
    # Locked first, so that no delivery is being loaded into a list while the list is frozen.
    order = connection.execute(_row(institute.blz, news.order_number).with_for_update(key_share=True)).first()
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


def _content(news: Announcement, origin: str) -> dict[str, Any]:
    return {
        "name": news.name,
        "rhythm": news.rhythm,
        "origin": news.origin or origin,
        "valid_from": news.valid_from,
        "valid_until": news.valid_until,
        "medium": news.medium,
        "response_scope": news.response_scope,
        "expected_by": news.expected_by,
    }


def _create(connection: sa.Connection, institute: Institute, news: Announcement) -> Carried:
    new = connection.execute(
        sa.insert(orders)
        .values(
            institute=institute.blz,
            order_number=news.order_number,
            interface=news.interface,
            occasion=news.occasion,
            control_created_at=news.created_at,
            **_content(news, "BANK"),
        )
        .returning(orders.c.id)
    ).scalar_one()
    list_names.use(connection, institute, new, news.order_number, news.name, news.list_name)
    return Carried(duplicate=False)


def _change(connection: sa.Connection, institute: Institute, order: sa.Row[Any], news: Announcement) -> Carried:
    content = _content(news, order.origin)
    same = all(getattr(order, field) == value for field, value in content.items())
    duplicate = same and not order.ended and not order.faulty
    list_name = list_names.use(connection, institute, order.id, order.order_number, news.name, news.list_name)
    connection.execute(
        sa.update(orders)
        .where(orders.c.id == order.id)
        .values(ended=False, faulty=False, control_created_at=news.created_at, **content)
    )
    if list_names.is_made_from(list_name, news.list_name, order.order_number, news.name):
        return Carried(duplicate)
    advice = f"Die Liste dieses Auftragsnamens heißt {list_name} und behält ihren Namen."
    return Carried(duplicate, (Fault(FaultCode.LISTENNAME, news.line, "Listen_Name", advice),))


def _end(connection: sa.Connection, order: sa.Row[Any] | None, news: Announcement) -> Carried:
    if order is None:
        advice = "Der Auftrag ist hier nicht bekannt und kann nicht beendet werden. Auftragsnummer prüfen."
        raise FileRefused([Fault(FaultCode.AUFTRAG_UNBEKANNT, news.line, advice=advice)])
    connection.execute(
        sa.update(orders)
        .where(orders.c.id == order.id)
        .values(ended=True, faulty=False, control_created_at=news.created_at)
    )
    return Carried(duplicate=order.ended and not order.faulty)
