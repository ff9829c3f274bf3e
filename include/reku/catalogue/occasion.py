"""What a mail is about (Anlass): one YAML file, one DAG (docs/domain.md, "Occasions")."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum

from pydantic import Field, field_validator, model_validator

from reku.catalogue.fields import Code, Duration, MediumKey, Model, Text, no_repeats
from reku.catalogue.medium import Provider, provider_of
from reku.catalogue.selection import OccasionSelection


class Family(StrEnum):
    """What kind of event an occasion is about; the letter of the standard codes (docs/domain.md, "Occasions")."""

    HOME_SAVINGS = "Bausparen"  # C
    DEKA = "Deka"  # D
    MATURITY = "Fälligkeiten"  # F
    BIRTHDAY = "Geburtstage"  # G
    ANNIVERSARY = "Jubiläen"  # J
    CREDIT_PARTNER = "Kreditpartner"  # K0
    CANCELLATION = "Kündigungen"  # K7
    LAST_INSTALMENT = "Letzte Raten und Darlehensende"  # L
    EXEMPTION = "NV-Bescheinigungen"  # N
    CURRENT_ACCOUNT = "Girokonto"  # P
    MOVE = "Umzüge"  # U
    OWN = "Eigene Anlässe"  # a bank's own occasion

    @property
    def topic(self) -> str:
        """What the people who get its mails read of their topic; empty for a bank's own occasions."""
        return _TOPICS.get(self, "")


_TOPICS = {
    Family.HOME_SAVINGS: "Bausparen",
    Family.DEKA: "Fonds und Wertpapiere",
    Family.MATURITY: "Auslaufende Verträge und Geldanlagen",
    Family.BIRTHDAY: "Geburtstag",
    Family.ANNIVERSARY: "Jubiläum",
    Family.CREDIT_PARTNER: "Kredite",
    Family.CANCELLATION: "Auslaufende Verträge",
    Family.LAST_INSTALMENT: "Letzte Raten und Sparverträge",
    Family.EXEMPTION: "Nichtveranlagungsbescheinigung",
    Family.CURRENT_ACCOUNT: "Girokonto",
    Family.MOVE: "Umzug",
}


class InDoubt(StrEnum):
    """What becomes of a mail whose hand-over was begun and never answered (ungeklärt)."""

    DO_NOT_RESEND = "do_not_resend"  # only a person decides: `reku messages resolve`
    RESEND = "resend"  # the next dispatch sends it again with the same Message-ID, while it is in its window


class Window(Model):
    """The days around Anlass_Datum on which a mail may go out, both included."""

    first_day: int = Field(ge=-366, le=366, description="first permitted day, counted from Anlass_Datum")
    last_day: int = Field(ge=-366, le=366, description="last permitted day, counted from Anlass_Datum")

    @model_validator(mode="after")
    def _in_order(self) -> Window:
        if self.first_day > self.last_day:
            raise ValueError(f"first_day {self.first_day} lies after last_day {self.last_day}")
        return self


class Occasion(Model):
    """What a mail is about (Anlass): one YAML file, one DAG."""

    code: Code = Field(description="code in files and names: MCA… for standard occasions")
    title: Text = Field(description="German title as published; no key, two occasions share one")
    family: Family = Field(description="kind of event")
    priority: int = Field(ge=1, le=9, description="1 high … 9 low, where contacts compete")
    media: tuple[MediumKey, ...] = Field(description="keys of the media suited to it; may be empty")
    window: Window = Field(description="days around Anlass_Datum on which a mail may go out")
    response_window: Duration = Field(description="how long a run waits for responses after dispatch")
    selection: OccasionSelection | None = Field(
        None, description="whom we select where we select ourselves; none: nobody can order it there"
    )
    in_doubt: InDoubt = Field(
        InDoubt.DO_NOT_RESEND,
        description="mails in doubt: do_not_resend: only a person decides (`reku messages resolve`); resend: the next "
        "dispatch sends them again with the same Message-ID while they are in their window",
    )

    _media_once = field_validator("media")(no_repeats)

    @field_validator("response_window")
    @classmethod
    def _not_endless(cls, value: timedelta) -> timedelta:
        if not timedelta(0) <= value <= timedelta(hours=12):
            raise ValueError("a run times out after 40 hours: give 0s to 12h")
        return value

    @property
    def is_standard(self) -> bool:
        """Whether it is one of the central standard occasions; otherwise it is a bank's own."""
        return re.fullmatch(r"MCA[A-Z][0-9]{3}", self.code) is not None

    @property
    def topic(self) -> str:
        """What its mails are about, in words of those who get them; of a bank's own occasion its title."""
        return self.family.topic or self.title

    @property
    def providers(self) -> tuple[Provider, ...]:
        """The providers of its media, each once, in the order of the media."""
        return tuple(dict.fromkeys(provider_of(key) for key in self.media))
