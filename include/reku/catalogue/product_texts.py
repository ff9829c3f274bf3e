"""What customers call a kind of product, by the code list of `products.yaml`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from reku.catalogue.fields import Model
from reku.foundation.settings import configured
from reku.foundation.yaml_source import load

FILE = "products.yaml"


def _without_number(text: str) -> str:
    if re.search(r"\d{8}", text):
        raise ValueError("is read by customers: write the product's name, without a number of an account or contract")
    return text


ProductText = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_without_number)]
"""As long as a delivery may have it; the gate refuses a row whose product has such a number."""


class ProductTexts(Model):
    """The whole of `products.yaml`."""

    products: dict[str, ProductText] = Field(description="Produktart as the bank delivers it → German name of it")

    def text(self, product: str | None) -> str:
        """The German name of a kind of product; empty if there is none, or no product."""
        return self.products.get(product, "") if product else ""


@cache
def product_texts() -> ProductTexts:
    """The texts of `products.yaml` in the configuration folder, or the ones shipped where it has none.

    Raises ConfigError for a file that is no YAML or breaks the model.
    """
    return load_product_texts(configured(FILE))


def load_product_texts(file: Path) -> ProductTexts:
    """Read one file of texts. Raises ConfigError."""
    return load(file, ProductTexts)
