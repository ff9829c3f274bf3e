"""The style sheet that all of our pages share."""

from __future__ import annotations

import re
from collections import Counter

from tests.conftest import PROJECT

STYLE = PROJECT / "include" / "reku" / "orchestration" / "pages" / "html" / "pages.css"


def twice(style: str) -> list[str]:
    """Selectors of rules on lines of their own that stand there more than once: one page would change another."""
    found = Counter(re.findall(r"^([^@:{}\s][^{}]*)\{", style, re.MULTILINE))
    return [selector for selector, times in found.items() if times > 1]


def test_a_selector_has_one_rule() -> None:
    assert twice(STYLE.read_text(encoding="utf-8")) == []


def test_a_second_rule_is_found() -> None:
    assert twice(".media{a:b}\n.media img{a:b}\n.media{c:d}\n") == [".media"]
