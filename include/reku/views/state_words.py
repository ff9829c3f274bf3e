"""States of deliveries and messages in words for people."""

from __future__ import annotations

from collections.abc import Mapping

from reku.foundation.words import Words
from reku.store.states import DeliveryState, MessageState

DELIVERY_STATES: Mapping[str, Words] = {
    DeliveryState.PARKED: Words("geparkt", "parked"),
    DeliveryState.REGISTERED: Words("angenommen, noch nicht geprüft", "registered, not judged yet"),
    DeliveryState.VALIDATED: Words("geprüft", "validated"),
    DeliveryState.RELEASED: Words("freigegeben", "released"),
    DeliveryState.LOADED: Words("geladen", "loaded"),
    DeliveryState.DECLINED: Words("endgültig abgelehnt", "declined"),
    DeliveryState.REFUSED: Words("abgewiesen", "refused"),
}
MESSAGE_STATES: Mapping[str, Words] = {
    MessageState.OPEN: Words("offen", "open"),
    MessageState.CLAIMED: Words("im Versand", "being sent"),
    MessageState.PREPARED: Words("vorbereitet", "prepared"),
    MessageState.SENT: Words("versandt", "sent"),
    MessageState.WITHHELD: Words("zurückgehalten", "withheld"),
    MessageState.REJECTED: Words("vom Server abgelehnt", "refused by the server"),
    MessageState.UNDELIVERED: Words("nicht rechtzeitig zugestellt", "not delivered in time"),
    MessageState.IN_DOUBT: Words("ungeklärt", "in doubt"),
}
