"""The tracker's pages: readable for everybody, and closed to everything foreign."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.catalogue.institute import UnsubscribeScope
from reku.catalogue.occasion import Family
from reku.responses import pages
from reku.responses.pages import Bank, Page, contrast, readable, render

BANK = Bank("Sparkasse Beispielstadt", "Impressum", scope=UnsubscribeScope.ORDER)
ALL = [
    pages.ask(BANK, "Geburtstag"),
    pages.ask(Bank(), ""),
    *(pages.done("Geburtstag", scope, datetime(2026, 11, 25, 8, tzinfo=UTC)) for scope in UnsubscribeScope),
    pages.taken_back(BANK, "Geburtstag"),
    pages.TOO_LATE,
    pages.INVALID,
    pages.NOT_SAVED,
    pages.UNAVAILABLE,
    pages.METHOD,
]
COLOURS = st.integers(0, 0xFFFFFF).map(lambda value: f"#{value:06x}")


class Outline(HTMLParser):
    """Tags of a page, and how they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: dict[str, dict[str, str | None]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes[tag] = dict(attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.title)
def test_structure(page: Page) -> None:
    html, _ = render(page, BANK)
    outline = Outline(html)
    assert outline.open == []
    assert outline.attributes["html"]["lang"] == "de"
    assert (outline.tags.count("h1"), outline.tags.count("main"), outline.tags.count("title")) == (1, 1, 1)
    assert {"script", "img", "link", "iframe"}.isdisjoint(outline.tags)
    assert ("button" in outline.tags) == bool(page.buttons)
    assert "Sparkasse Beispielstadt" in html
    assert "Impressum" in html


def test_the_question_names_topic_and_bank_and_offers_all_of_its_mails() -> None:
    html, _ = render(pages.ask(BANK, "Geburtstag"), BANK)
    assert "zum Thema „Geburtstag“" in html
    assert [button.text for button in pages.ask(BANK, "").buttons] == [
        "E-Mails abbestellen",
        "Alle Werbe-E-Mails unseres Hauses abbestellen",
    ]
    assert len(pages.ask(Bank(), "Geburtstag").buttons) == 1, "the first one means all of them already"


def test_taking_back_is_offered_until_a_moment() -> None:
    at = datetime(2026, 11, 25, 8, tzinfo=UTC)
    offered = pages.done("Geburtstag", UnsubscribeScope.ORDER, at)
    assert "Bis 25.11.2026, 09:00 Uhr" in offered.paragraphs[-1]
    assert [button.value for button in offered.buttons] == ["alles", "zurueck"]
    assert pages.done("", UnsubscribeScope.INSTITUTE).buttons == ()


def test_every_family_of_occasions_has_a_topic_for_customers() -> None:
    assert [family for family in Family if not family.topic] == [Family.OWN]


def test_policy_permits_exactly_this_style() -> None:
    html, policy = render(pages.INVALID, Bank(primary="#123456"))
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "#123456" in style[1]


def test_texts_are_escaped() -> None:
    html, _ = render(pages.INVALID, Bank("<script>alert(1)</script>", "a & b"))
    assert "<script" not in html
    assert "a &amp; b" in html


@given(COLOURS, COLOURS)
def test_button_can_be_read_in_any_colours(foreground: str, background: str) -> None:
    assert contrast(readable(foreground, background), background) >= 4.5


def test_good_colours_stay() -> None:
    assert readable("#FFFFFF", "#CC0000") == "#FFFFFF"
    assert readable("#FFFF00", "#FFFFFF") == "#000000"
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
