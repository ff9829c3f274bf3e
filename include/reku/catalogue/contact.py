"""Whom a bank does not write to, and how often it writes: the part of its file that the room `contact` goes by."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from reku.catalogue.fields import MediumKey, Model, Text

Flags = dict[Text, tuple[Text, ...]]
"""Field of the delivery → values that mean yes."""


Days = Annotated[int, Field(ge=0, le=366)]

MOST_DAYS_AFTER = 60
"""No bank's days without mails after an appointment are more: so long appointments are kept."""


class UnsubscribeComparison(StrEnum):
    """Which unsubscribes are held against a message. One from everything always counts."""

    NONE = "none"  # those from the same order only, which no bank may ignore
    LIST = "list"  # those from the order, through all lists it has had or will have by renaming
    GLOBAL = "global"  # those from any order of the bank


class Cap(Model):
    """At most so many active contacts of a person within so many days, today included."""

    contacts: int = Field(ge=1, description="how many")
    days: int = Field(ge=1, le=366, description="within how many days, today included")


class ContactRules(Model):
    """Whom a bank does not write to, and how often it writes (docs/contact.md, "A bank's rules")."""

    unsubscribes: UnsubscribeComparison = Field(
        UnsubscribeComparison.LIST, description="which unsubscribes bar a mail: none, list or global (from any order)"
    )
    refusal: Flags = Field(
        default_factory=dict, description="field → values that mean the person refuses advertising (Werbesperre)"
    )
    estate: Flags = Field(
        default_factory=dict, description="field → values that mean the person has died (Nachlass); none: not looked at"
    )
    household: Text | None = Field(
        None,
        description="field with the household's id: one mail for each address in a household; none: no household rule",
    )
    contact_person: Text | None = Field(
        None, description="field that says J for the household's contact person, whose salutation is used"
    )
    one_mail_per_address: bool = Field(
        False,
        description="whether an address that several people of a delivery share gets one mail, household or not",
    )
    blocking_days: dict[MediumKey, Days] = Field(
        default_factory=dict,
        description="active medium → Sperrtage: so many days after it nobody gets another active medium (0: the same "
        "day only); media that are not named neither set nor obey blocking periods",
    )
    at_most: Cap | None = Field(None, description="contacts with active media; none: no limit")
    appointment_days: int | None = Field(
        None, ge=0, le=90, description="no mail within so many days before an appointment; none: not looked at"
    )
    appointment_days_after: int | None = Field(
        None,
        ge=0,
        le=MOST_DAYS_AFTER,
        description="no mail within so many days after an appointment, its own day included; none: not looked at",
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> ContactRules:
        if self.contact_person and not self.household:
            raise ValueError("contact_person needs household: the field with the household's id")
        if self.at_most and not self.blocking_days:
            raise ValueError("at_most counts contacts with active media: name these under blocking_days")
        return self

    @property
    def has_appointment_days(self) -> bool:
        """Whether an appointment keeps mails back."""
        return self.appointment_days is not None or self.appointment_days_after is not None

    def fields(self) -> list[tuple[tuple[str, ...], str]]:
        """All fields of deliveries that the rules look at, each with its place below `contact` in the file."""
        flags = [((kind, name), name) for kind in ("refusal", "estate") for name in getattr(self, kind)]
        named = [((kind,), getattr(self, kind)) for kind in ("household", "contact_person") if getattr(self, kind)]
        return [*flags, *named]
