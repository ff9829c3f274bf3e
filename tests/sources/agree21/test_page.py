"""docs/agree21.md has every rule of imports in the words of the code."""

from __future__ import annotations

import re

from reku.catalogue.import_rules import ImportRules
from tests.conftest import PROJECT


def test_the_page_has_every_rule() -> None:
    page = (PROJECT / "docs" / "agree21.md").read_text(encoding="utf-8")
    section = page.partition("\n### A bank's rules\n")[2].partition("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \([^()]*\) \|$", section, re.MULTILINE))
    assert told == {name: field.description for name, field in ImportRules.model_fields.items()}
