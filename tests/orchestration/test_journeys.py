"""What a person on call does, in a real browser from Airflow's home, each within three clicks; in both languages.

With PICTURES_TO=FOLDER the pictures of the handbook are written there (`make pictures`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.release.report import write_report
from reku.store import tables
from reku.store.states import DeliveryState, MessageState
from reku_testing import banks, browser, world
from reku_testing.browser import Tab, faults
from tests.orchestration.test_pages_in_a_browser import DESK, PHONE, be, one_tab, tab

__all__ = ["one_tab", "tab"]  # fixtures

pytestmark = [pytest.mark.airflow, pytest.mark.skipif(browser.program() is None, reason=browser.INSTALL)]

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
MOST_CLICKS = 3
SELDOM = {"rhythm": "JAEHRLICH", "valid_from": date(2026, 6, 1)}


class Journey:
    """A person who begins at Airflow's home, and counts clicks; pages of ours stand in a frame."""

    def __init__(self, tab: Tab, address: str) -> None:
        self.tab, self.clicks = tab, 0
        tab.ask("Page.navigate", url=f"{address}/")
        link = "document.querySelector('a[href=\"/plugin/reku-today\"]')"
        tab.wait_for(f"{link} !== null")
        tab.value(f"{link}.click()")
        self.clicks += 1
        tab.wait_for(f"{self._page}?.querySelector('main') != null")

    _page = "document.querySelector('iframe')?.contentDocument"

    @property
    def text(self) -> str:
        return str(self.tab.value(f"{self._page}.body.innerText"))

    def click(self, path: str) -> None:
        """The first link of the page whose address begins so."""
        link = f'a[href^="/reku/{path}"]'
        self._act(
            f"page.querySelector({json.dumps(link)})", f"page.location.href.includes({json.dumps('/reku/' + path)})"
        )

    def send(self, until: str = "[role=status]", **fields: str) -> None:
        """Fill in the form and send it, and wait for an element of the answer."""
        fill = "".join(f"form.querySelector('[name={name}]').value = {json.dumps(fields[name])};" for name in fields)
        button = f"(form => {{ if (!form) return null; {fill} return form.querySelector('button'); }})"
        button += "(page.querySelector('main form'))"
        self._act(button, f"page.querySelector({json.dumps(until)}) !== null")

    def _act(self, element: str, until: str) -> None:
        """Click once; Airflow loads a frame a second time when it has put its address into its own: then once more."""
        self.clicks += 1
        assert self.clicks <= MOST_CLICKS
        self.tab.wait_for(
            f"(page => {{ if (page?.readyState !== 'complete') return false; if ({until}) return true;"
            f" if (page.body.dataset.clicked) return false; const element = {element};"
            " if (element) { page.body.dataset.clicked = 'yes'; element.click(); } return false; })"
            f"({self._page})"
        )


class Troubles:
    """One of each trouble: ids of deliveries by what is wrong with them, and a Referenz."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine, self._number = engine, 4710
        self.bad_rows = self._delivery(
            **{"state": "REFUSED", "rows": 20, "accepted": 0, "rejected": 20, "code": "FEHLERQUOTE"},
            advice="2 von 20 Zeilen fehlerhaft, erlaubt sind 1",
        )
        with engine.begin() as connection:
            reject = {"institute": world.BLZ, "delivery_id": self.bad_rows, "reference": "", "field": "EMail"}
            reject |= {"code": "ADRESSE", "advice": "EMail: gültige Mailadresse angeben"}
            connection.execute(sa.insert(tables.rejects), [reject | {"line": line} for line in (7, 12)])
        self.wrong_encoding = self._delivery(state="REFUSED", code="ZEICHENSATZ", advice="Datei in UTF-8 liefern")
        self._delivery(state="PARKED", rows=20, advice="Keine Steuerungsdatei")
        self.unusual = [self._asked() for _ in range(2)]
        self.in_doubt = self._messages(MessageState.IN_DOUBT)
        away = self._messages(MessageState.OPEN)
        with engine.begin() as connection:
            values = {"delivery_id": away, "institute": world.BLZ, "tries_in_vain": 2}
            connection.execute(sa.insert(tables.dispatches).values(**values))
        self._messages(MessageState.WITHHELD, reason="KEINE_EINWILLIGUNG")
        self.reference = str(
            engine.connect().scalar(
                sa.select(tables.messages.c.reference).where(tables.messages.c.state == MessageState.WITHHELD)
            )
        )
        world.order(engine, "R0004799", valid_from=date(2026, 11, 22), rhythm="TAEGLICH")  # and nothing came
        for delivery in (self.bad_rows, self.wrong_encoding):
            write_report(engine, delivery)

    def _delivery(self, **values: object) -> int:
        self._number += 1
        order = world.order(self.engine, f"R000{self._number}", **SELDOM)
        return world.delivery(self.engine, order, **{"day": NOON.date()} | values)

    def _asked(self) -> int:
        delivery = self._delivery(state="VALIDATED", rows=18, accepted=18, rejected=0)
        world.rows(self.engine, delivery, [world.reku_fields(1, order=f"R000{self._number}")])
        with self.engine.begin() as connection:
            row = {"delivery_id": delivery, "institute": world.BLZ, "asked_at": NOON}
            connection.execute(sa.insert(tables.releases).values(row))
        return delivery

    def _messages(self, state: MessageState, **values: object) -> int:
        delivery = self._delivery(state="LOADED")
        fields = [world.reku_fields(number, order=f"R000{self._number}") for number in (1, 2)]
        for row in world.rows(self.engine, delivery, fields):
            world.message(self.engine, row, state=state, begun_at=NOON, due_at=NOON - timedelta(hours=1), **values)
        return delivery

    def state(self, delivery: int) -> str:
        with self.engine.connect() as connection:
            wanted = sa.select(tables.deliveries.c.state).where(tables.deliveries.c.id == delivery)
            return str(connection.scalar(wanted))


@pytest.fixture
def troubles(
    database: sa.Engine, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Troubles:
    clock_at(NOON)
    folder = banks.configure(monkeypatch, tmp_path / "config")
    (folder / "institutes" / "99950002.yaml").write_text("blz: 99950002\nkolours: {}\n", encoding="utf-8")
    (folder / "occasions").unlink()
    (folder / "occasions").mkdir()
    for code in ("MCAG002", "MCAG008"):
        text = (Path(banks.INCLUDE) / "occasions" / f"{code}.yaml").read_text(encoding="utf-8")
        broken = text.replace("response_window", "response_windows") if code == "MCAG008" else text
        (folder / "occasions" / f"{code}.yaml").write_text(broken, encoding="utf-8")
    return Troubles(database)


def picture(tab: Tab, name: str) -> None:
    """Of what is to be seen, if the handbook has it, where somebody asks for it."""
    if name in IN_THE_HANDBOOK and (folder := os.environ.get("PICTURES_TO")):
        from PIL import Image

        file = Path(folder) / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        tab.picture(file)
        with Image.open(file) as image:
            image.convert("RGB").quantize(64).save(file, optimize=True)


def test_every_trouble_is_seen_and_put_right_within_three_clicks(
    tab: Tab, airflow_address: str, troubles: Troubles, database: sa.Engine
) -> None:
    for number, language in enumerate(("de", "en")):
        be(tab, language, "light", DESK)
        seen = Journey(tab, airflow_address)
        said = seen.text
        for trouble in SEEN[language]:
            assert trouble in said, trouble
        picture(tab, f"zu-tun-{language}")
        seen.click(f"reports/{troubles.bad_rows}")
        assert "2 fehlerhaft" in " ".join(seen.text.split())
        picture(tab, f"pruefbericht-{language}")

        asked = troubles.unusual[number]
        deciding = Journey(tab, airflow_address)
        deciding.click(f"acts/{('approve', 'decline')[number]}?of={asked}")
        picture(tab, f"entscheiden-{language}")
        deciding.send(note="seen with the bank")
        assert troubles.state(asked) == (DeliveryState.RELEASED, DeliveryState.DECLINED)[number]

        stopping = Journey(tab, airflow_address)
        stopping.click("acts/stop?of=everything")
        stopping.send(note="wrong subject")
        with database.connect() as connection:
            (stop,) = stop_switches.in_force(connection)
        stop_switches.lift(database, stop.id, actor="anna", note="was a test")

        why = Journey(tab, airflow_address)
        why.click("why")
        why.send(".life", reference=troubles.reference, bank=world.BLZ)
        assert "KEINE_EINWILLIGUNG" in why.text
        picture(tab, f"eine-zeile-{language}")

        ahead = Journey(tab, airflow_address)
        ahead.click("agenda")
        assert NO_CAMPAIGN[language] in ahead.text
        matrix = Journey(tab, airflow_address)
        matrix.click("matrix")
        picture(tab, f"matrix-{language}")
        matrix.click(f"orders/{world.BLZ}/")
        picture(tab, f"auftrag-{language}")

    resolving = Journey(tab, airflow_address)
    resolving.click(f"acts/resolve-unsent?of={troubles.in_doubt}")
    resolving.send(note="the relay's log does not have them")
    assert "2 mails count as not sent" in resolving.text


@pytest.mark.parametrize(("scheme", "width"), [("light", PHONE), ("dark", DESK)])
def test_a_report_is_for_everybody(
    tab: Tab, airflow_address: str, troubles: Troubles, scheme: str, width: int, tmp_path: Path
) -> None:
    be(tab, "de", scheme, width)
    for path in (f"reports/{troubles.bad_rows}", f"reports/{troubles.wrong_encoding}", "dags/reku_mcag002"):
        tab.go(f"{airflow_address}/reku/{path}")
        assert tab.value("document.documentElement.scrollWidth") <= width, path
        assert faults(tab) == [], path
        assert "sans-serif" in tab.value("getComputedStyle(document.body).fontFamily"), path
        tab.picture(tmp_path / f"{path.replace('/', '-')}-{scheme}.png")


IN_THE_HANDBOOK = ("zu-tun-de", "zu-tun-en", "entscheiden-de", "pruefbericht-de", "auftrag-de")
SEEN = {
    "de": (
        "FEHLERQUOTE",
        "ZEICHENSATZ",
        "geparkt",
        "wartet auf eine Freigabe",
        "ungeklärt",
        "Mailserver nicht erreichbar",
        "keine Lieferung da",
        "99950002.yaml",
        "MCAG008.yaml",
    ),
    "en": (
        "FEHLERQUOTE",
        "ZEICHENSATZ",
        "parked",
        "waiting for release",
        "in doubt",
        "mail server away",
        "missing",
        "99950002.yaml",
        "MCAG008.yaml",
    ),
}
NO_CAMPAIGN = {"de": "Kampagne", "en": "campaign"}
