"""What a selection would make of one person: its messages, what contact has against it, and who comes first.

Each line is what a selection of that day finds out, so that what is told is what it would do.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa

from reku.catalogue.channel_name import ChannelName
from reku.catalogue.institute import Institute
from reku.catalogue.occasion import Window
from reku.catalogue.selection import Selection
from reku.contact.reasons import Reason, has_freed, reasons_against
from reku.records import format_date
from reku.sources.agree21.selected_people import Judged, judged_people
from reku.sources.agree21.trial import tried_orders
from reku.sources.agree21.why import Node
from reku.store.tables import messages

AGAINST = {
    Reason.AUFTRAG_BEENDET: "Auftrag läuft",
    Reason.ABGELAUFEN: "Versandfenster noch offen",
    Reason.BESTAND: "Im neuesten Kundenbestand",
    Reason.NACHLASS: "Kein Nachlass",
    Reason.WERBEVERWEIGERER: "Keine Werbesperre der Bank",
    Reason.KEINE_EINWILLIGUNG: "Einwilligung in E-Mails",
    Reason.ABGEMELDET: "Nicht abgemeldet",
    Reason.BESCHWERDELISTE: "Keine Beschwerde",
    Reason.BLACKLIST: "Adresse und Domain nicht gesperrt",
    Reason.ZURUECKGEHALTEN: "Adresse nicht zurückgehalten",
    Reason.DUBLETTE: "Niemand im Haushalt hat die Mail schon",
    Reason.SPERRZEIT: "Keine Sperrzeit",
    Reason.ANDERE_KAMPAGNE: "Keine andere Kampagne geht vor",
    Reason.OBERGRENZE: "Obergrenze nicht erreicht",
    Reason.TERMIN: "Kein Termin in der Nähe",
}
"""What may speak against a candidate, and what holds where it does not."""
_TURN = {
    "household": "Kein anderes Haushaltsmitglied bekommt die Mail",
    "later_date": "Kein früheres Anlass_Datum der Person geht vor",
    "on_no_channel": "Ein Kanal der Kampagne erreicht die Person",
    "another_impulse": "Kein anderer Impuls zur Person geht vor",
}


def why_orders(
    engine: sa.Engine, bank: Institute, occasion: str, rule: Selection, window: Window, person: str, day: date
) -> list[Node]:
    """One tree for each order of an occasion: whether a selection of that day takes a person (as the tables name it).

    Below it the person's messages of the order (✓: it ended by a reason that passes, so its person is free again), and
    each Anlass_Datum that the rule matches with each mail address. Has no effect.
    """
    with tried_orders(engine, bank, occasion) as (connection, orders):
        return [
            _told(
                order,
                _messages(connection, order.id, person),
                [
                    one
                    for one in judged_people(connection, bank, order, rule, window, day, with_household_of=person)
                    if one.row.person_number == person
                ],
            )
            for order in orders
        ]


def _messages(connection: sa.Connection, order: int, person: str) -> list[sa.Row[Any]]:
    of = messages.c
    wanted = sa.select(of.occasion_date, of.state, of.reason, of.delivery_number, has_freed(messages).label("freed"))
    of_person = wanted.where(of.order_id == order, of.person_number == person)
    return list(connection.execute(of_person.order_by(of.occasion_date, of.id)))


def _told(order: sa.Row[Any], had: list[sa.Row[Any]], judged: list[Judged]) -> Node:
    told = [
        Node(
            f"Nachricht zum {format_date(message.occasion_date)}",
            message.freed,
            f"{message.state}{f' {message.reason}' if message.reason else ''}, Lieferung {message.delivery_number}",
        )
        for message in had
    ]
    parts = (*told, *map(_pair, judged)) if judged else (*told, Node("Die Regel trifft an diesem Tag zu", False))
    name = f"Auftrag {order.order_number}" if order.order_number else "Noch kein Auftrag"
    return Node(name, any(one.is_selected for one in judged), parts=parts)


def _pair(one: Judged) -> Node:
    row = one.row
    parts = [
        Node("Noch keine Nachricht des Auftrags", not row.known),
        Node("In keiner wartenden Lieferung", not row.waits),
    ]
    if one.channel is None or one.channel.goes_to_an_address:
        parts.append(Node("E-Mail-Adresse vorhanden", bool(row.recipient_key)))
    if all(part.holds for part in parts):
        barring = reasons_against(one.channel or ChannelName.EMAIL).intersection(one.reasons)
        parts += [Node(f"{text} ({reason})", reason not in barring) for reason, text in AGAINST.items()]
        if not barring:
            parts.append(Node(_TURN.get(one.outcome, "Ist an der Reihe"), one.is_selected))
    address = f" an {row.domain}" if row.domain else ""
    return Node(f"Mail zum {format_date(row.occasion_date)}{address}", one.is_selected, parts=tuple(parts))
