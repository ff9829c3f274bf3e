"""The closed list of reasons for not sending, in their order of precedence (domain.md 9.6, Grund_Code of NVER)."""

from __future__ import annotations

from enum import StrEnum

from reku.store.tables import ResponseKind


class Reason(StrEnum):
    """Why a message is withheld. The first that holds, from top to bottom, is the one that is reported.

    What ends the matter for everybody stands first, then what the person has said, then what is known of the address,
    and last what only concerns this one mail.
    """

    FREIGABE_VERWEIGERT = "FREIGABE_VERWEIGERT"  # a person declined the delivery as a whole, before anything was sent
    AUFTRAG_BEENDET = "AUFTRAG_BEENDET"  # the order was ended by its control file or has run out
    ABGELAUFEN = "ABGELAUFEN"  # past the last day on which the mail makes sense
    KEINE_EINWILLIGUNG = "KEINE_EINWILLIGUNG"  # no consent to advertising by mail in this delivery
    ABGEMELDET = "ABGEMELDET"  # unsubscribed from this order or from everything of the institute
    BESCHWERDELISTE = "BESCHWERDELISTE"  # complained once: barred for good
    BLACKLIST = "BLACKLIST"  # barred by the institute
    ZURUECKGEHALTEN = "ZURUECKGEHALTEN"  # three hard bounces in a row; reported as ZRUE, not as NVER
    ADRESSE_UNGUELTIG = "ADRESSE_UNGUELTIG"  # written correctly, but no mail can get there
    DUBLETTE = "DUBLETTE"  # this person was already written to for this Anlass_Datum, or in this delivery

    @property
    def response(self) -> ResponseKind:
        """The kind of event that tells the core system."""
        return ResponseKind.ZRUE if self is Reason.ZURUECKGEHALTEN else ResponseKind.NVER

    @property
    def code(self) -> str:
        """Grund_Code of that event; ZRUE needs none."""
        return "" if self is Reason.ZURUECKGEHALTEN else self.value
