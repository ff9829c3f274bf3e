"""The closed list of reasons for not sending, in their order of precedence (docs/contact.md, "Reasons")."""

from __future__ import annotations

from enum import StrEnum
from functools import cache

import sqlalchemy as sa

from reku.catalogue.channel_name import ChannelName
from reku.store.kinds import EventKind
from reku.store.states import MessageState


class Reason(StrEnum):
    """Why a message is withheld. The first that holds, from top to bottom, is reported; all are kept for the record.

    What people have decided about the order or the delivery stands first and ends the matter for everybody, then what
    the person has said, then what is known of the address, and last what only concerns this one mail. `meaning` is one
    line for people.
    """

    meaning: str

    def __new__(cls, code: str, meaning: str = "") -> Reason:
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    AUFTRAG_BEENDET = "AUFTRAG_BEENDET", "the order was ended by its control file or has run out"
    FREIGABE_VERWEIGERT = "FREIGABE_VERWEIGERT", "a person declined to release the delivery"
    GESTOPPT = "GESTOPPT", "a person closed the delivery before this mail went out"
    UNGEKLAERT = (
        "UNGEKLAERT",
        "begun and never answered; closed as not sent by a person, or by itself where we select the people",
    )
    NICHT_ABGEHOLT = "NICHT_ABGEHOLT", "its prepared file was not fetched or acknowledged until its last day"
    VERSANDSYSTEM = "VERSANDSYSTEM", "the bank's EMMA account withheld it for a reason that we do not know"
    ABGELAUFEN = "ABGELAUFEN", "past the last day on which the mail makes sense"
    BESTAND = "BESTAND", "is in no current data of the bank any more (only where we select from its data)"
    NACHLASS = "NACHLASS", "the person has died; which flags say so is set by the bank"
    WERBEVERWEIGERER = "WERBEVERWEIGERER", "refuses advertising; which flags say so is set by the bank"
    KEINE_EINWILLIGUNG = "KEINE_EINWILLIGUNG", "no consent to advertising by mail in this delivery"
    ABGEMELDET = "ABGEMELDET", "unsubscribed; which orders that concerns is set by the bank"
    BESCHWERDELISTE = "BESCHWERDELISTE", "complained: barred until a person lifts it"
    BLACKLIST = "BLACKLIST", "the address or its domain was barred by a person"
    ZURUECKGEHALTEN = "ZURUECKGEHALTEN", "three hard bounces in a row; reported as RETAINED, not as NOT_SENT"
    ADRESSE_UNGUELTIG = "ADRESSE_UNGUELTIG", "written correctly, but no mail can get there, or no letter can be set"
    DUBLETTE = "DUBLETTE", "this Anlass_Datum was written to already, or somebody else gets the household's mail"
    SPERRZEIT = "SPERRZEIT", "within the blocking period of an earlier active contact"
    ANDERE_KAMPAGNE = "ANDERE_KAMPAGNE", "another campaign of higher priority writes to the person on the same day"
    OBERGRENZE = "OBERGRENZE", "has had as many active contacts as the bank allows in that time"
    TERMIN = "TERMIN", "has, or has had, an appointment with the bank within a few days"

    @property
    def event(self) -> EventKind:
        """The kind of event that tells the core system."""
        return EventKind.RETAINED if self is Reason.ZURUECKGEHALTEN else EventKind.NOT_SENT

    @property
    def code(self) -> str:
        """Reason of that event; RETAINED needs none."""
        return "" if self is Reason.ZURUECKGEHALTEN else self.value


_OF_ADDRESSES = frozenset(
    {
        Reason.KEINE_EINWILLIGUNG,
        Reason.ABGEMELDET,
        Reason.BESCHWERDELISTE,
        Reason.BLACKLIST,
        Reason.ZURUECKGEHALTEN,
        Reason.ADRESSE_UNGUELTIG,
    }
)
"""What a person has said about mails, and what is known of the mail address: it bars mails only, whoever sends them."""


@cache
def reasons_against(channel: str) -> frozenset[Reason]:
    """The reasons that bar a channel: all of them bar one to a mail address, and one that no campaign can name."""
    known = channel in list(ChannelName)
    return frozenset(Reason) - _OF_ADDRESSES if known and not ChannelName(channel).goes_to_an_address else EVERY_REASON


EVERY_REASON = frozenset(Reason)
"""What bars e-mail."""

PASSING = frozenset({Reason.SPERRZEIT, Reason.ANDERE_KAMPAGNE, Reason.OBERGRENZE, Reason.TERMIN})
"""Reasons that pass by themselves. They stand last: where one of them is the first that holds, no other reason does.

Where we select the people, a message that ends by one of them frees its person: nobody is told of it, and the person is
selected again while the window lasts.
"""


def has_freed(table: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a message (of `table`) has ended by a reason that passes by itself."""
    return (table.c.state == MessageState.WITHHELD) & table.c.reason.in_(PASSING)


@cache
def in_order(found: frozenset[str]) -> tuple[Reason, ...]:
    """Reasons by their names, in the order of precedence."""
    return tuple(reason for reason in Reason if reason.value in found)
