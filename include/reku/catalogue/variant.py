"""Variants of a campaign's mail (A/B): who gets which, always the same for a person and a mailing."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Self

from pydantic import Field, model_validator

from reku.catalogue.fields import MediumKey, Model, Text

_WHOLE = 2**64


class Variant(Model):
    """One of the subjects or media that a campaign tries against one another."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,20}$")] = Field(
        description="under which the ledger and the funnel know it"
    )
    share: Annotated[float, Field(gt=0, lt=1)] = Field(description="share of people who get it, such as 0.5")
    subject: Text | None = Field(None, description="its subject, a Jinja text; none: that of its medium")
    medium: MediumKey | None = Field(None, description="its medium; none: that of the block")

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if self.subject and self.medium:
            raise ValueError("give a subject or a medium: of two changes at once nobody knows which one did it")
        return self


def check_variants(variants: Sequence[Variant]) -> None:
    """Raises ValueError for variants of which nothing could be learned."""
    if not 2 <= len(variants) <= 3:
        raise ValueError("give two or three variants")
    if len({variant.name for variant in variants}) < len(variants):
        raise ValueError("two variants have the same name")
    if len({(variant.subject, variant.medium) for variant in variants}) < len(variants):
        raise ValueError("two variants are the same")
    if abs(total := sum(variant.share for variant in variants) - 1) > 0.001:
        raise ValueError(f"the shares come to {total + 1:g}; together they are 1")


def variant_for(variants: Sequence[Variant], *mailing_and_person: str) -> str:
    """The name of the variant for a person in a mailing; the same arguments always give the same one."""
    digest = sha256("\0".join(mailing_and_person).encode()).digest()
    place, reached = int.from_bytes(digest[:8]) / _WHOLE, 0.0
    for variant in variants[:-1]:
        reached += variant.share
        if place < reached:
            return variant.name
    return variants[-1].name
