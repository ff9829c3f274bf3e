"""The report of a delivery: what it shows, that it shows nobody, that it stands alone and comes out the same again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.errors import SetupError, StageError
from reku.foundation.settings import settings
from reku.release.report import find_report, remove_old, write_report
from reku.release.report_facts import MOST_HISTORY, MOST_REJECTS, read_facts, shown_reference
from reku.store import tables
from reku.store.kinds import DeliverySource
from reku.store.states import Decision, DeliveryState
from reku_testing import world

BANK = "99990001"
NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)


def insert(engine: sa.Engine, table: sa.Table, *rows: dict[str, Any]) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(table), list(rows))


def rule(delivery: int, number: int, field: str, broken: int, looked_at: int = 200, **values: Any) -> dict[str, Any]:
    return {
        "delivery_id": delivery,
        "number": number,
        "institute": BANK,
        "rule": f"{field}.rule.{number}",
        "field": field,
        "check": "pattern",
        "severity": "reject",
        "code": "FORMAT",
        "advice": f"Schreibweise {number} verwenden",
        "looked_at": looked_at,
        "broken": broken,
    } | values


def judged(engine: sa.Engine, number: int = 17, order: int | None = None, **values: Any) -> int:
    """A delivery of 200 rows, three of them rejected, that the gate has judged."""
    of = world.order(engine, institute=BANK) if order is None else order
    values = {"state": DeliveryState.VALIDATED, "rows": 200, "accepted": 197, "rejected": 3} | values
    delivery = world.delivery(engine, of, number, **values)
    insert(
        engine,
        tables.rule_counts,
        rule(delivery, 1, "Referenz", 0, check="required", code="PFLICHTFELD", advice="Pflichtfeld füllen"),
        rule(delivery, 2, "EMail", 2, looked_at=199, check="address", code="ADRESSE", advice="gültige Adresse <a@b>"),
        rule(delivery, 3, "Anlass_Wert", 1, check="number_between", code="WERT"),
        rule(delivery, 4, "Anlass_Wert", 5, check="among", code="WERT", severity="warn"),
    )
    insert(
        engine,
        tables.rejects,
        *(
            {
                "institute": BANK,
                "delivery_id": delivery,
                "line": line,
                "reference": f"R0004711-{number:06d}-{line:05d}",
                "field": "EMail",
                "code": "ADRESSE",
                "advice": "EMail: gültige Adresse <a@b>",
            }
            for line in (9, 3, 12)
        ),
    )
    insert(
        engine,
        tables.metrics,
        *(
            {
                "delivery_id": delivery,
                "institute": BANK,
                "name": name,
                "value": value,
                "low": low,
                "high": high,
                "basis": basis,
            }
            for name, value, low, high, basis in (
                ("rows", 200.0, 80.0, 160.0, "Median 120 aus 9 Lieferungen"),
                ("without_consent", 0.05, 0.0, 0.3, "Grenze max_without_consent"),
                ("salutation_2", 0.5, None, None, ""),
            )
        ),
    )
    return delivery


class Text(HTMLParser):
    """Everything of a page that a person reads, blanks joined."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._parts: list[str] = []
        self._in_style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002 - HTMLParser calls it so
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - HTMLParser calls it so
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self._parts.append(data)

    def __str__(self) -> str:
        return " ".join(" ".join(self._parts).split())


def read(file: Path) -> str:
    return str(Text(file.read_text(encoding="utf-8")))


def test_a_report_says_what_the_gate_found(database: sa.Engine) -> None:
    delivery = judged(database)
    file = write_report(database, delivery)
    assert file == settings().reports() / BANK / str(delivery) / "index.html"
    assert find_report(delivery) == file
    page = read(file)

    assert "Sparkasse Musterstadt · Geburtstag_rund_2026 · 000017" in page
    assert "Angenommen, einzelne Zeilen abgelehnt accepted, some rows rejected" in page
    for shown in ("200 Zeilen rows", "197 angenommen accepted", "3 abgelehnt rejected", "1,5 % Anteil abgelehnt"):
        assert shown in page
    for fact in ("R0004711 Geburtstag_rund_2026", "MCAG002 Runde Geburtstage", "geprüft validated", "22.11.2026 02:15"):
        assert fact in page

    assert "Zeilen rows 200 80 – 160 auffällig out of range Median 120 aus 9 Lieferungen" in page
    assert "ohne Einwilligung without consent 5,0 % 0,0 % – 30,0 % im Rahmen within Grenze" in page
    assert "Anrede 2 (Frau) salutation 2 50,0 % – – –" in page

    broken = page[page.index("Verletzte Regeln") : page.index("Alle Regeln")]
    assert "Anlass_Wert Schreibweise 4 verwenden Anlass_Wert.rule.4 WERT nur gezählt counted only 5 2,5 %" in broken
    assert "EMail gültige Adresse <a@b> EMail.rule.2 ADRESSE Zeile abgelehnt rejects the row 2 1,0 %" in broken
    assert "Pflichtfeld füllen" not in broken
    lines = re.findall(r"(\d+) (R0004711-000017-\d{5}) EMail ADRESSE EMail: gültige Adresse <a@b>", page)
    assert lines == [(str(line), f"R0004711-000017-{line:05d}") for line in (3, 9, 12)]


def test_data_docs_of_great_expectations_show_every_rule(database: sa.Engine) -> None:
    page = read(write_report(database, judged(database)))
    docs = page[page.index("Great Expectations Data Docs") :]
    assert "Evaluated Expectations 4 Successful Expectations 1 Unsuccessful Expectations 3 Success Percent 25%" in docs
    assert "Pflichtfeld füllen Referenz.rule.1 · PFLICHTFELD · reject 100% not null" in docs
    assert "gültige Adresse <a@b> EMail.rule.2 · ADRESSE · reject 2 unexpected values found." in docs
    assert "1.005% of 200 total rows." in docs  # of the 199 that were looked at
    fields = [docs.index(f"{field} Status Expectation Observed Value") for field in ("Anlass_Wert", "EMail")]
    assert fields == sorted(fields)


@pytest.mark.parametrize(
    ("values", "release", "said"),
    [
        ({"rejected": 0, "accepted": 200}, None, "Angenommen accepted"),
        ({"state": DeliveryState.REGISTERED}, None, "Noch nicht geprüft not judged yet"),
        ({"state": DeliveryState.PARKED}, None, "Wartet auf eine Steuerungsdatei waits for a control file"),
        ({"state": DeliveryState.REFUSED, "code": "LEER", "advice": "Datei füllen"}, None, "LEER Datei füllen"),
        ({"state": DeliveryState.REFUSED}, None, "Als Ganzes abgelehnt refused as a whole"),
        ({"state": DeliveryState.REFUSED, "accepted": 0, "rejected": 200}, None, "3 fehlerhaft faulty 1,5 % Anteil"),
        ({}, {"asked_at": NOON}, "Wartet auf Freigabe waits for a person's release"),
        ({}, {"asked_at": NOON}, "angefragt asked for , 24.11.2026 12:00"),
        (
            {"state": DeliveryState.RELEASED},
            {"asked_at": NOON, "decision": Decision.APPROVED, "decided_at": NOON + timedelta(hours=1)},
            "von einer Person freigegeben approved by a person , 24.11.2026 13:00",
        ),
        (
            {"state": DeliveryState.DECLINED},
            {"asked_at": NOON, "decision": Decision.DECLINED, "decided_at": NOON},
            "Freigabe verweigert release declined",
        ),
        (
            {"state": DeliveryState.LOADED, "loaded_at": NOON},
            {"decision": Decision.NORMAL, "decided_at": NOON},
            "unauffällig, ohne Rückfrage normal, nobody was asked , 24.11.2026 12:00",
        ),
    ],
)
def test_every_end_of_a_delivery_has_its_words(
    database: sa.Engine, values: dict[str, Any], release: dict[str, Any] | None, said: str
) -> None:
    delivery = judged(database, **values)
    if release:
        insert(database, tables.releases, {"delivery_id": delivery, "institute": BANK} | release)
    assert said in read(write_report(database, delivery))


def test_a_delivery_that_never_reached_the_gate_has_a_report_too(database: sa.Engine) -> None:
    of = world.order(database, institute=BANK)
    refused = world.delivery(
        database, of, state=DeliveryState.REFUSED, code="PRUEFSUMME", advice="Datei erneut übertragen"
    )
    page = read(write_report(database, refused))
    assert "PRUEFSUMME Datei erneut übertragen" in page
    assert "keine Regeln gezählt" in page
    assert "Data Docs" not in page


def test_a_delivery_that_came_by_no_file_has_a_report_too(database: sa.Engine) -> None:
    facts = read_facts(database, judged(database, source=DeliverySource.SELECTION, file_id=None))
    assert (facts.file_name, facts.received_at) == ("", world.CREATED)


def test_a_delivery_without_rows_has_a_report_too(database: sa.Engine) -> None:
    of = world.order(database, institute=BANK)
    empty = world.delivery(database, of, state=DeliveryState.VALIDATED, rows=0, accepted=0, rejected=0)
    insert(
        database,
        tables.rule_counts,
        *(rule(empty, n, "EMail", 0, 0, check=c) for n, c in ((1, "required"), (2, "address"))),
    )
    page = read(write_report(database, empty))
    assert "0 Zeilen rows" in page
    assert "– Anteil abgelehnt" in page
    assert "alle Zeilen halten alle 2 Regeln ein" in page
    assert "Exception" not in page


def test_an_unknown_delivery_is_an_error(database: sa.Engine) -> None:
    with pytest.raises(StageError, match="There is no delivery 4711"):
        write_report(database, 4711)


def test_a_broken_bank_or_a_lost_occasion_keeps_nothing_from_being_shown(database: sa.Engine) -> None:
    of = world.order(database, institute="99999999", occasion="MCAX999")
    page = read(write_report(database, world.delivery(database, of)))
    assert "99999999 · Geburtstag_rund_2026 · 000017" in page
    assert "MCAX999" in page


def test_the_same_tables_make_the_same_bytes(database: sa.Engine, clock_at: Callable[[datetime], None]) -> None:
    delivery = judged(database)
    clock_at(NOON)
    first = write_report(database, delivery).read_bytes()
    clock_at(NOON + timedelta(days=2))
    judged(database, 18, order=1)  # what comes later does not change it
    again = write_report(database, delivery)
    assert again.read_bytes() == first
    assert [file.name for file in again.parent.iterdir()] == ["index.html"]


NAMES = ("Zdenka-Adelgunde", "Xaverinski", "Qualmgasse", "zdenka@kunde.example", "0098765432", "Dr. h. c. Yps")


def test_nobody_is_in_a_report(database: sa.Engine) -> None:
    delivery = judged(database)
    for number, line in enumerate((4, 5, 6, 7), start=1):
        fields = world.reku_fields(
            number,
            Personennummer=NAMES[4],
            Vorname=NAMES[0],
            Nachname=NAMES[1],
            EMail=NAMES[3],
            Titel=NAMES[5],
            Firma=NAMES[2],
        )
        world.row(database, delivery, fields, line)
    # a file whose columns are swapped: what stands where the reference belongs is kept in `rejects`
    swapped = [
        {
            "institute": BANK,
            "delivery_id": delivery,
            "line": line,
            "reference": value,
            "field": "Referenz",
            "code": "FORMAT",
            "advice": "Referenz: Pflichtfeld füllen",
        }
        for line, value in enumerate(NAMES, start=20)
    ]
    insert(database, tables.rejects, *swapped)
    # who released it is a person as well
    insert(
        database,
        tables.releases,
        {"delivery_id": delivery, "institute": BANK, "decision": "APPROVED", "actor": "xaverinski", "note": NAMES[0]},
    )
    page = write_report(database, delivery).read_text(encoding="utf-8")
    assert '20</td><td class="key-like">–</td><td>Referenz' in page
    for name in NAMES:
        assert name.lower() not in page.lower()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("R0004711-000017-00001", True),
        ("K2026-014/000001", True),
        ("a1", True),
        ("Beispiel-Müßig", False),
        ("Mustermann", False),
        ("person1@kunde.example", False),
        ("0001234567", False),
        ("0211/12345-6", False),
        ("Hauptstr. 5", False),
        ("", False),
    ],
)
def test_only_what_is_written_like_a_key_is_shown_as_a_reference(written: str, shown: bool) -> None:
    assert shown_reference(written) == (written if shown else "")


class Resources(HTMLParser):
    """Everything that a browser would fetch or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "link", "base", "form", "img"):
            self.found.append(tag)
        if tag == "meta" and "http-equiv" in dict(attrs):
            self.found.append(tag)
        for name, value in attrs:
            local = (value or "").startswith("#")
            if name in ("src", "href", "xlink:href", "action", "srcset", "data", "poster") and not local:
                self.found.append(f"{tag} {name}={value}")
            if name.startswith("on"):
                self.found.append(f"{tag} {name}")


def test_a_report_asks_for_nothing_outside_itself(database: sa.Engine) -> None:
    page = write_report(database, judged(database)).read_text(encoding="utf-8")
    assert Resources(page).found == []
    assert not re.findall(r"url\((?!#)|@import", page)
    assert set(re.findall(r"https?://[^\"'\s<]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert len(re.findall(r'\sid="([^"]+)"', page)) == len(set(re.findall(r'\sid="([^"]+)"', page)))
    assert "localhost" not in page


def test_a_page_of_great_expectations_own_would_fail_that_test() -> None:
    assert Resources('<link rel="stylesheet" href="https://cdn.example/a.css"><script src="/a.js"></script>').found


def test_plot_shows_the_order_over_time_and_marks_this_delivery(database: sa.Engine) -> None:
    of = world.order(database, institute=BANK)
    other = world.order(database, "R0009999", institute=BANK)
    judged(database, 1, order=other, rows=7777)
    for number in range(1, 40):
        created = world.CREATED + timedelta(days=number)
        last = judged(database, number, order=of, rows=200 + number, created_at=created)
    page = write_report(database, last).read_text(encoding="utf-8")
    svg = page[page.index("<svg ") : page.index("</svg>")]
    told = re.search(r'role="img" aria-label="([^"]*)"', svg)
    assert told is not None
    assert told[1].startswith(f"Zeilen der letzten {MOST_HISTORY} Lieferungen des Auftrags (02.12.2026: 210, ")
    assert told[1].endswith("31.12.2026: 239); markiert: 000039")
    assert "<title>Zeilen je Lieferung / rows per delivery</title>" in svg
    assert "7.777" not in svg
    texts = re.findall(r"<text [^>]*>([^<]*)</text>", svg)
    assert "239" in texts  # the marked delivery has its number beside it
    assert {"31.12.26", "000039"} <= set(texts)
    assert svg.count("#c2410c") >= 1
    assert svg.count("fill: #cfe3f4") == MOST_HISTORY  # the range of each


def test_a_limit_far_above_does_not_press_the_plot_flat(database: sa.Engine) -> None:
    of = world.order(database, institute=BANK)
    delivery = world.delivery(database, of, state=DeliveryState.VALIDATED, rows=40, accepted=40, rejected=0)
    limit = {"name": "rows", "value": 40.0, "low": 0.0, "high": 10_000.0, "basis": "Grenze max_rows"}
    insert(database, tables.metrics, {"delivery_id": delivery, "institute": BANK} | limit)
    page = write_report(database, delivery).read_text(encoding="utf-8")
    ticks = re.findall(r"<text [^>]*>([0-9.]+)</text>", page[page.index("<svg ") : page.index("</svg>")])
    assert max(int(tick.replace(".", "")) for tick in ticks if len(tick) < 6) < 200
    assert "0 – 10.000" in read(write_report(database, delivery))


def test_a_long_list_of_rejects_is_cut_and_says_so(database: sa.Engine) -> None:
    of = world.order(database, institute=BANK)
    delivery = world.delivery(database, of, state=DeliveryState.REFUSED, rows=5000, accepted=0, rejected=5000)
    row = {"institute": BANK, "delivery_id": delivery, "field": "EMail", "code": "ADRESSE", "advice": "x"}
    insert(
        database,
        tables.rejects,
        *(row | {"line": line, "reference": f"R1-{line}"} for line in range(3, MOST_REJECTS + 1503)),
    )
    page = read(write_report(database, delivery))
    assert "Die ersten 1.000 von 2.500; alle stehen in der Quittung." in page
    assert f"R1-{MOST_REJECTS + 2}" in page
    assert f"R1-{MOST_REJECTS + 3}" not in page


def test_old_reports_go_and_young_ones_stay(
    database: sa.Engine, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_at(NOON)
    old = write_report(database, judged(database, 1))
    orphan = old.with_name("0a1b2c3d.tmp")
    orphan.write_text("cut off")
    os.utime(orphan, (old.stat().st_mtime, old.stat().st_mtime))
    clock_at(NOON + timedelta(days=40))
    young = write_report(database, judged(database, 2, order=1))

    assert remove_old(NOON + timedelta(days=90)) == 0
    assert old.exists()
    clock_at(NOON + timedelta(days=91))
    assert remove_old(clock.now()) == 1
    assert not old.parent.exists()
    assert young.exists()
    assert find_report(1) is None

    monkeypatch.setenv("REKU_KEEP_REPORTS_DAYS", "30")
    settings.cache_clear()
    assert remove_old(clock.now()) == 1
    assert list(settings().reports().iterdir()) == []
    assert remove_old(clock.now()) == 0


def test_a_report_made_again_is_young_again(database: sa.Engine, clock_at: Callable[[datetime], None]) -> None:
    clock_at(NOON)
    delivery = judged(database)
    write_report(database, delivery)
    clock_at(NOON + timedelta(days=89))
    file = write_report(database, delivery)
    assert remove_old(NOON + timedelta(days=120)) == 0
    assert file.exists()


def test_a_folder_that_cannot_be_written_to_is_named(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    delivery = judged(database)
    (tmp_path / "taken").write_text("a file, no folder")
    monkeypatch.setenv("REKU_REPORTS_DIR", str(tmp_path / "taken"))
    settings.cache_clear()
    with pytest.raises(SetupError, match=r"taken/99990001/\d+ cannot be written to .* REKU_REPORTS_DIR"):
        write_report(database, delivery)
