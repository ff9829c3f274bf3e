"""All media in a real browser: legible at all widths, light and dark, without pictures, whatever values are delivered.

A browser cannot load `cid:` addresses, so what is looked at is what people see whose program shows no pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from reku.catalogue import institutes, media
from reku.channels.email.media.compile import compile_medium
from reku.channels.email.media.people import sample_person
from reku.channels.email.media.placeholders import OPTIONAL
from reku.foundation.settings import INCLUDE
from reku_testing import browser
from reku_testing.browser import Tab

pytestmark = [
    pytest.mark.skipif(browser.program() is None, reason=browser.INSTALL),
    pytest.mark.usefixtures("reku_settings"),
]

BANKS = sorted(institutes(INCLUDE))
WIDTHS = (320, 375, 600, 1200)
RULES = """{runOnly: {type: 'rule', values: ['color-contrast', 'image-alt', 'link-name', 'html-has-lang',
    'html-lang-valid', 'heading-order', 'page-has-heading-one', 'empty-heading', 'document-title', 'list']}}"""
TOO_WIDE = """(() => { const right = document.documentElement.clientWidth + 1;
    return [...document.querySelectorAll('td, div, h1, h2, a, p, span, img')]
        .filter((one) => one.getBoundingClientRect().right > right && getComputedStyle(one).display !== 'none')
        .map((one) => one.tagName + ' ' + one.textContent.trim().slice(0, 40)); })()"""
NASTY = (
    "W" * 200,
    "Straße Ünlü-Çelik",
    "🎂🎉👨‍👩‍👧‍👦" * 8,
    "مرحبا بالعالم שלום",
    "<script>document.title='open'</script><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }} {% if x %}",
    "javascript:alert(1)",
    '"><table></td></tr></div>',
)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser.browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def show(tab: Tab, html: str, folder: Path, name: str) -> None:
    file = folder / f"{name}.html"
    file.write_text(html, encoding="utf-8")
    tab.go(file.as_uri())


def scheme(tab: Tab, kind: str) -> None:
    tab.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": kind}])


def faults(tab: Tab) -> list[str]:
    """What axe finds: the rule, and where."""
    script = (
        f"axe.run(document, {RULES}).then((found) => found.violations.flatMap((one) => one.nodes.map((node) => "
        "one.id + ': ' + node.html.slice(0, 160) + ' ' + node.failureSummary.slice(0, 300))))"
    )
    answer = tab.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
    return list(answer["result"]["value"])


def nasty_people(bank: str) -> dict[str, dict[str, str]]:
    """By name: one with a long word everywhere, one with something else in each field, one of whom nothing is known."""
    known = sample_person(institutes()[bank])
    names = [name.replace("E_Mail", "E-Mail") for name in OPTIONAL]
    return {
        "long": known | dict.fromkeys(names, NASTY[0]),
        "mixed": known | {name: NASTY[1 + place % (len(NASTY) - 1)] for place, name in enumerate(names)},
        "unknown": known | dict.fromkeys(names, "") | {"Anrede": "3"},
    }


@pytest.mark.parametrize("medium", sorted(media(INCLUDE)))
def test_it_is_legible_everywhere(tab: Tab, tmp_path: Path, medium: str) -> None:
    bank = BANKS[sorted(media(INCLUDE)).index(medium) % len(BANKS)]
    compiled = compile_medium(media()[medium], institutes()[bank])
    for name, person in nasty_people(bank).items():
        mail = compiled.render(person, links=compiled.links, unsubscribe="https://abmelden.example/u/token")
        assert len(mail.html.encode()) < 100_000
        scheme(tab, "light")
        tab.width(WIDTHS[0])
        show(tab, mail.html, tmp_path, name)
        for width in WIDTHS:
            tab.width(width)
            assert tab.value(TOO_WIDE) == [], (name, width)
        assert tab.value("document.title") == mail.subject
        assert tab.value("document.querySelectorAll('script, [onerror]').length") == 0
        if name == "unknown":
            tab.ask("Runtime.evaluate", expression=(files("axe_core_python") / "axe.min.js").read_text("utf-8"))
            assert faults(tab) == []
            scheme(tab, "dark")
            assert faults(tab) == []


def test_faults_are_seen(tab: Tab, tmp_path: Path) -> None:
    heading = "<h1 style='color:#999;width:2000px'>Grau</h1>"
    grey = f"<html lang='de'><title>x</title><body>{heading}<img src='a.png'></body></html>"
    show(tab, grey, tmp_path, "grey")
    tab.width(320)
    assert tab.value(TOO_WIDE)
    tab.ask("Runtime.evaluate", expression=(files("axe_core_python") / "axe.min.js").read_text("utf-8"))
    assert {fault.partition(":")[0] for fault in faults(tab)} == {"color-contrast", "image-alt"}
