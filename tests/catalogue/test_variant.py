"""Variants of a mail: which are refused, and that the choice is the same for ever and as the shares say."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reku.catalogue.campaign import SendBlock
from reku.catalogue.variant import Variant, variant_for

A = {"name": "A", "share": 0.5}
B = {"name": "B", "share": 0.5, "subject": "Anders"}


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ([A], "two or three"),
        ([A, B, {**B, "name": "C"}, {**B, "name": "D"}], "two or three"),
        ([A, {**B, "name": "A"}], "the same name"),
        ([A, {"name": "B", "share": 0.5}], "two variants are the same"),
        ([A, {**B, "share": 0.4}], "the shares come to 0.9"),
        ([A, {**B, "medium": "SKP_UMZUG"}], "a subject or a medium"),
        ([A, {**B, "name": "B_1"}], "name"),
    ],
)
def test_what_teaches_nothing_is_refused(variants: list[dict[str, object]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SendBlock.model_validate({"block": "send", "media": ["SCOM_GEBURTSTAG"], "variants": variants})


def test_variants_are_of_one_medium() -> None:
    media = ["SCOM_GEBURTSTAG", "SCOM_HEIRAT"]
    with pytest.raises(ValidationError, match="exactly one under `media`"):
        SendBlock.model_validate({"block": "send", "media": media, "variants": [A, B]})


@given(st.text(max_size=12), st.text(max_size=12))
def test_the_choice_is_always_the_same(mailing: str, person: str) -> None:
    variants = [Variant.model_validate(one) for one in (A, B)]
    assert variant_for(variants, mailing, person) == variant_for(variants, mailing, person)


def test_the_choice_follows_the_shares_and_differs_between_mailings() -> None:
    variants = [Variant(name="A", share=0.2), Variant(name="B", share=0.3, subject="x"), Variant(name="C", share=0.5)]
    first = [variant_for(variants, "R1", "1", str(person)) for person in range(20_000)]
    counts = Counter(first)
    for variant in variants:
        assert abs(counts[variant.name] / 20_000 - variant.share) < 0.01
    second = [variant_for(variants, "R1", "2", str(person)) for person in range(20_000)]
    alike = sum(one == other for one, other in zip(first, second, strict=True)) / 20_000
    assert abs(alike - (0.04 + 0.09 + 0.25)) < 0.02
    # fixed for ever: what somebody was sent must not change with a new version of ours
    assert "".join(variant_for(variants, "R0000101", "17", str(person)) for person in range(12)) == "BCBCBBBBACCC"
