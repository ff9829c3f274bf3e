"""The tracker's pages in a real browser: on a phone and on a desk, by keyboard alone, without script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reku.foundation.tokens import Purpose, Target, make
from reku_testing import banks, browser
from reku_testing.browser import Tab

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(browser.program() is None, reason=browser.INSTALL),
    pytest.mark.usefixtures("bank"),
]

PHONE, DESK = 360, 1280
TAB, ENTER = ("Tab", 9), ("Enter", 13, "\r")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser.browser(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_somebody_unsubscribes_by_keyboard(
    tab: Tab, address: str, sent: Any, events: Any, width: int, tmp_path: Path
) -> None:
    tab.complaints.clear()
    tab.width(width)
    tab.go(f"{address}/u/{make(Purpose.UNSUBSCRIBE, Target(sent()))}")
    assert fits(tab, width)
    tab.press(*TAB)
    assert tab.value("document.activeElement.textContent") == "E-Mails abbestellen", "the first thing that Tab reaches"
    assert tab.value("getComputedStyle(document.activeElement).outlineStyle") == "solid", "where one is can be seen"
    assert tab.value("document.activeElement.getBoundingClientRect().height") >= 44, "large enough for a thumb"
    assert events() == []
    tab.picture(tmp_path / f"ask-{width}.png")
    tab.press(*ENTER)
    tab.wait_for("document.querySelector('h1')?.textContent === 'Sie sind abgemeldet'")
    assert fits(tab, width)
    tab.picture(tmp_path / f"done-{width}.png")
    assert [event[1:3] for event in events()] == [("UNSUBSCRIBED", "LINK")]
    assert [complaint for complaint in tab.complaints if "favicon" not in complaint] == []


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_wrong_link_and_a_long_name_fit_too(
    tab: Tab,
    address: str,
    sent: Any,
    bank: Path,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    tmp_path: Path,
) -> None:
    long = "Vereinigte Sparkassenzweckverbandshauptgeschäftsstelle Oberbeispielhausen-Unterbeispielhausen"
    banks.configure(monkeypatch, bank, name=long, imprint=f"{long}\nMarktplatz 1\nhttps://{'x' * 80}.example")
    tab.width(width)
    tab.go(f"{address}/u/{make(Purpose.UNSUBSCRIBE, Target(sent()))}")
    assert fits(tab, width)
    tab.picture(tmp_path / f"long-{width}.png")
    tab.go(f"{address}/u/wrong")
    assert tab.value("document.querySelector('h1').textContent") == "Dieser Link ist nicht gültig"
    assert fits(tab, width)
    tab.picture(tmp_path / f"wrong-{width}.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_each_page(tab: Tab, address: str, sent: Any, scheme: str, tmp_path: Path) -> None:
    """Asking, done, all done, taken back: axe-core finds nothing, in either scheme."""
    tab.width(PHONE)
    tab.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    tab.go(f"{address}/u/{make(Purpose.UNSUBSCRIBE, Target(sent()))}")
    for press, heading in (
        ("", "Möchten Sie diese E-Mails abbestellen?"),
        ("ja", "Sie sind abgemeldet"),
        ("alles", "Sie sind abgemeldet"),
        ("zurueck", "Ihre Abmeldung ist zurückgenommen"),
    ):
        if press:
            tab.value("document.querySelector('h1').dataset.old = 'yes'")
            tab.value(f"document.querySelector('button[value={press}]').click()")
            tab.wait_for("document.readyState === 'complete' && !document.querySelector('h1').dataset.old")
        assert tab.value("document.querySelector('h1').textContent") == heading
        assert fits(tab, PHONE)
        assert browser.faults(tab) == [], heading
        tab.picture(tmp_path / f"{press or 'ask'}-{scheme}.png")


def test_the_page_does_without_script_and_is_named_for_a_screen_reader(tab: Tab, address: str, sent: Any) -> None:
    tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.ask("Page.navigate", url=f"{address}/u/{make(Purpose.UNSUBSCRIBE, Target(sent()))}")
        tab.wait_for("document.readyState === 'complete' && document.querySelector('button') !== null")
        nodes = tab.ask("Accessibility.getFullAXTree")["nodes"]
    finally:
        tab.ask("Emulation.setScriptExecutionDisabled", value=False)
    named = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if "role" in node}
    assert ("button", "E-Mails abbestellen") in named
    assert ("heading", "Möchten Sie diese E-Mails abbestellen?") in named
    assert {"banner", "main", "contentinfo"} <= {role for role, _ in named}


def fits(tab: Tab, width: int) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return bool(tab.value("document.documentElement.scrollWidth") <= width)
