"""An advertising medium (Werbemittel) and what its key says of it (docs/media.md)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from reku.catalogue.fields import Code, MediumKey, Model, Text, no_repeats

LETTER = "letter.typ"
"""The file of a medium that makes a letter of it as well; not every medium has one."""


class Provider(StrEnum):
    """Who made a medium, as people write it."""

    SCOM = "S-Com"
    LBS = "LBS"
    SKP = "SKP"
    DEKA = "Deka"
    VOEV = "VöV"
    SV = "SV"
    EIGEN = "Eigene"  # the bank's own


class Link(Model):
    """A link of a medium that may be counted."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = Field(description="name used in the template")
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+\S*$")] = Field(description="target of the link")


class Medium(Model):
    """An advertising medium (Werbemittel): `medium.yaml` beside `mail.mjml` and `mail.txt` in its folder."""

    key: MediumKey = Field(description="provider and title in capitals, such as SCOM_GEBURTSTAG")
    provider: Provider = Field(description="who made it")
    title: Text = Field(description="German title as published")
    occasions: tuple[Code, ...] = Field((), description="codes it is made for; empty: linked by hand")
    subject: Text = Field(description="subject line, a Jinja text")
    preheader: str = Field("", description="short text that mailboxes show beside the subject, a Jinja text")
    fallbacks: dict[str, str] = Field(
        default_factory=dict, description="optional placeholder → text when the field is empty"
    )
    links: tuple[Link, ...] = Field((), description="links in the order of their numbers (Link_Nr, from 1)")

    _occasions_once = field_validator("occasions")(no_repeats)

    @model_validator(mode="after")
    def _one_provider(self) -> Medium:
        if provider_of(self.key) != self.provider:
            raise ValueError(f"key {self.key} belongs to provider {provider_of(self.key)}, not {self.provider}")
        no_repeats(tuple(link.name for link in self.links))
        return self

    @property
    def folder(self) -> str:
        """Its folder below `templates/`, such as `scom/geburtstag`."""
        return folder_of(self.key)


def provider_of(key: str) -> Provider:
    """The provider that a medium's key names. Raises KeyError for a key that names none."""
    return Provider[key.partition("_")[0]]


def folder_of(key: str) -> str:
    """The folder of a medium below `templates/`: SCOM_NEUES_GIROKONTO → scom/neues_girokonto."""
    provider, _, title = key.lower().partition("_")
    return f"{provider}/{title}"
