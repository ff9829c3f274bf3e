"""What will keep mails of an order from going out, known before its night and not after it."""

from __future__ import annotations

from typing import Any

from reku.catalogue import Institute
from reku.foundation.words import Words
from reku.process.systems import is_served


def warnings(order: Any, bank: Institute | None, *, is_faulty: bool, is_stopped: bool) -> list[Words]:
    """What is wrong with an order (its `institute` and `order_number`) as things stand, the gravest first."""
    if bank is None:
        return [Words("Die Bank ist nicht in der Konfiguration.", "The bank is not in the configuration.")]
    found = []
    if not is_served(bank):
        found.append(
            Words("Das Kernbanksystem der Bank ist nicht angebunden.", "The core system of the bank is not served.")
        )
    if is_stopped:
        found.append(Words("Der Versand ist angehalten.", "Its dispatch is stopped."))
    if is_faulty:
        found.append(
            Words("Die neueste Steuerungsdatei ist fehlerhaft.", "The newest control file of the order is faulty.")
        )
    campaign = bank.campaign(order.order_number)
    if campaign is None:
        found.append(Words("Keine Kampagne nennt den Auftrag.", "No campaign names the order."))
    elif not campaign.active:
        found.append(
            Words(f"Kampagne „{campaign.name}“ ist nicht aktiv.", f"Campaign {campaign.name!r} is not active.")
        )
    elif not campaign.is_complete:
        found.append(
            Words(
                f"Kampagne „{campaign.name}“ ist unvollständig: Liste, Uhrzeit oder Werbemittel fehlt.",
                f"Campaign {campaign.name!r} is not complete: list, time or medium is missing.",
            )
        )
    return found
