"""What customers call a product: every one that a shipped rule asks for has a name that they may read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reku.catalogue import occasions
from reku.catalogue.product_texts import FILE, load_product_texts
from reku.catalogue.selection import Condition, In, NotIn, Selection, parts_of
from reku.foundation.errors import ConfigError
from reku.foundation.settings import INCLUDE


def products(condition: Condition) -> Iterator[str]:
    """The kinds of product that a condition names."""
    if isinstance(condition, In | NotIn) and condition.field == "product":
        yield from condition.values
    for part in parts_of(condition):
        yield from products(part)


def test_every_product_of_a_shipped_rule_has_a_text() -> None:
    rules = [occasion.selection for occasion in occasions(INCLUDE).values()]
    named = {one for rule in rules if isinstance(rule, Selection) and rule.where for one in products(rule.where)}
    texts = load_product_texts(INCLUDE / FILE)
    assert named
    assert [product for product in sorted(named) if not texts.text(product)] == []


def test_what_has_no_text_is_left_out() -> None:
    texts = load_product_texts(INCLUDE / FILE)
    assert [texts.text(product) for product in ("GIRO", "UNBEKANNT", None)] == ["Girokonto", "", ""]


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("product: {}", "Did you mean 'products'"),
        ("products: {GIRO: ''}", "GIRO"),
        (f"products: {{GIRO: {'x' * 61}}}", "GIRO"),
        ("products: {GIRO: Konto 12345678}", "without a number"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, written: str, says: str) -> None:
    file = tmp_path / FILE
    file.write_text(f"{written}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_product_texts(file)
    assert f"{file}:1: " in str(caught.value)
    assert says in str(caught.value)
