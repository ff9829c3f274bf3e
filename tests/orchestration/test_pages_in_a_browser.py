"""The pages in a real browser: light and dark, wide and narrow, German and English, by keyboard, without script."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.store.states import DeliveryState
from reku.store.tables import releases
from reku_testing import browser
from reku_testing.browser import Tab, faults
from reku_testing.world import BLZ
from tests.orchestration.test_acting import acts_on_record, asked, state_of
from tests.orchestration.test_order_pages import BANK, NOON, OTHER, loaded

__all__ = ["asked", "loaded"]  # fixtures

pytestmark = [pytest.mark.airflow, pytest.mark.skipif(browser.program() is None, reason=browser.INSTALL)]

PHONE, DESK = 375, 1280
TAB, ENTER = ("Tab", 9), ("Enter", 13, "\r")


@pytest.fixture(scope="module")
def one_tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser.browser(tmp_path_factory.mktemp("browser")) as tab:
        tab.ask("Network.enable")
        yield tab


@pytest.fixture
def tab(one_tab: Tab, airflow_address: str, token_of: Callable[..., str]) -> Iterator[Tab]:
    """A browser whose person is logged in and may act."""
    one_tab.ask("Network.setCookie", name="_token", value=token_of("user"), url=airflow_address)
    yield one_tab
    one_tab.ask("Network.clearBrowserCookies")
    one_tab.ask("Emulation.setScriptExecutionDisabled", value=False)


def be(tab: Tab, language: str, scheme: str, width: int) -> None:
    tab.width(width)
    tab.ask("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
    tab.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


@pytest.mark.parametrize(("language", "scheme", "width"), [("de", "light", DESK), ("en", "dark", PHONE)])
def test_every_page_fits_and_everybody_can_use_it(
    tab: Tab,
    airflow_address: str,
    database: sa.Engine,
    loaded: str,
    language: str,
    scheme: str,
    width: int,
) -> None:
    stop_switches.throw(database, institute=OTHER, order=None, actor="anna", note="wrong subject")
    be(tab, language, scheme, width)
    tab.complaints.clear()
    for path in (
        "today",
        "matrix",
        "agenda",
        f"orders/{BANK}/R0000101",
        f"why?reference={loaded}&bank={BANK}",
        "dispatch",
        "onboarding",
        "acts/stop?of=everything",
    ):
        tab.go(f"{airflow_address}/reku/{path}")
        assert tab.value("document.documentElement.lang") == language
        assert tab.value("document.documentElement.scrollWidth") <= width, path
        assert faults(tab) == [], path
    assert [complaint for complaint in tab.complaints if "favicon" not in complaint] == []


def test_axe_finds_what_is_wrong(tab: Tab, airflow_address: str, loaded: str) -> None:
    be(tab, "de", "light", DESK)
    tab.go(f"{airflow_address}/reku/acts/stop?of=everything")
    tab.value("document.querySelector('label').remove()")
    assert "label" in [name for name, _ in faults(tab)]


def test_somebody_declines_by_keyboard_and_without_script(
    tab: Tab, airflow_address: str, asked: int, database: sa.Engine
) -> None:
    with database.begin() as connection:
        row = {"delivery_id": asked, "institute": BLZ, "asked_at": NOON}
        connection.execute(sa.insert(releases).values(row))
    be(tab, "de", "light", DESK)
    tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    tab.go(f"{airflow_address}/reku/today")
    press_until(tab, "document.activeElement.textContent === 'Endgültig ablehnen'")
    assert tab.value("getComputedStyle(document.activeElement).outlineStyle") == "solid", "where one is can be seen"
    tab.press(*ENTER)
    tab.wait_for("document.querySelector('textarea') !== null")
    press_until(tab, "document.activeElement.id === 'note'")
    tab.ask("Input.insertText", text="Einwilligung fehlt")
    press_until(tab, "document.activeElement.tagName === 'BUTTON'")
    assert tab.value("document.activeElement.textContent") == "Endgültig ablehnen (2 Personen)"
    tab.press(*ENTER)
    tab.wait_for("document.querySelector('[role=status]')?.textContent.startsWith('Erledigt.') === true")
    assert state_of(database, asked) == DeliveryState.DECLINED
    assert acts_on_record(database) == [("operator", "delivery declined", "Einwilligung fehlt")]


def press_until(tab: Tab, is_there: str) -> None:
    for _ in range(60):
        tab.press(*TAB)
        if tab.value(is_there) is True:
            return
    raise AssertionError(f"Tab never reaches: {is_there}")


@pytest.mark.parametrize("route", ["reku-today", "reku-files"])
def test_airflow_s_navigation_leads_to_our_pages(tab: Tab, airflow_address: str, loaded: str, route: str) -> None:
    be(tab, "de", "light", DESK)
    tab.ask("Page.navigate", url=f"{airflow_address}/")
    link = f"document.querySelector('a[href=\"/plugin/{route}\"]')"
    tab.wait_for(f"{link} !== null")
    tab.value(f"{link}.click()")
    tab.wait_for("document.querySelector('iframe')?.contentDocument?.querySelector('main') != null")
