"""Bad control files: each with its exact receipt, and nothing of it carried out (docs/domain.md, rules 1 to 6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from reku.store import tables
from tests.sources.conftest import APPROACH, NOW, ORDER, Bank
from tests.sources.osplus.bad_files import AGAIN, COUNT, CUT, EMPTY, LONE_CR, NO_CSV, NO_HEAD
from tests.sources.osplus.broken import (
    Damage,
    Verdict,
    after,
    body_of,
    duplicate,
    line,
    outcome,
    packed,
    refused,
    sealed,
    swap,
)

ALLOWED = "Erlaubt: A-Z a-z 0-9 _ . -"
CATALOGUE = "Anlass_Code: Anlass_Code aus dem Katalog verwenden, z. B. MCAG002"
RHYTHMS = (
    "Ausfuehrungsrhythmus: einen erlaubten Wert angeben: EINMALIG, TAEGLICH, WOECHENTLICH, ZWEIWOECHENTLICH, "
    "MONATLICH, QUARTALSWEISE, HALBJAEHRLICH, JAEHRLICH"
)
KINDS = "Response_Umfang: aus VERS ZUGE OEFF KLIC ABME BESC HBOU SBOU UBOU ZRUE NVER bilden, verbunden mit +"
DONE = Verdict((("DATEI", "OK", "", "", "", "", ""),), "archiv/2026/11")


def _whole(data: bytes) -> bytes:
    return data


def _row(field: str, code: str, advice: str) -> Verdict:
    return refused((3, field, code, advice), delivery=False)


def _day(field: str) -> Verdict:
    return _row(field, "FORMAT", f"{field}: Datum als TT.MM.JJJJ angeben")


def _file(number: int | None, field: str, code: str, advice: str) -> Verdict:
    return refused((number, field, code, advice), delivery=False)


VREKU: dict[str, tuple[dict[str, str], Verdict]] = {
    "event that nobody knows": (
        {"Ereignis": "LOESCHEN"},
        _row("Ereignis", "WERT", "Ereignis: einen erlaubten Wert angeben: NEU, AENDERUNG, ENDE"),
    ),
    "end of an order that nobody knows": (
        {"Ereignis": "ENDE"},
        _row(
            "",
            "AUFTRAG_UNBEKANNT",
            "Der Auftrag ist hier nicht bekannt und kann nicht beendet werden. Auftragsnummer prüfen.",
        ),
    ),
    "row of another bank": (
        {"BLZ": "99950002"},
        _row("BLZ", "WIDERSPRUCH", "BLZ: Wert des Kopfsatzes V verwenden"),
    ),
    "no order name": (
        {"Auftrags_Bezeichnung": ""},
        _row(
            "Auftrags_Bezeichnung",
            "PFLICHTFELD",
            "Auftrags_Bezeichnung: Pflichtfeld füllen",
        ),
    ),
    "umlaut and blanks in the order name": (
        {"Auftrags_Bezeichnung": "Geburtstag für alle"},
        _row(
            "Auftrags_Bezeichnung",
            "NAME_UMLAUT",
            f"Die Bezeichnung enthält Umlaute (ü) und Leerzeichen. {ALLOWED}",
        ),
    ),
    "slash in the order name": (
        {"Auftrags_Bezeichnung": "Geburtstag/2026"},
        _row("Auftrags_Bezeichnung", "NAME_UMLAUT", f"Die Bezeichnung enthält unerlaubte Zeichen (/). {ALLOWED}"),
    ),
    "order name of 61": (
        {"Auftrags_Bezeichnung": "x" * 61},
        _row("Auftrags_Bezeichnung", "LAENGE", "Auftrags_Bezeichnung: höchstens 60 Zeichen verwenden"),
    ),
    "occasion not in the catalogue": (
        {"Anlass_Code": "MCAX999"},
        _row(
            "Anlass_Code",
            "ANLASS_UNBEKANNT",
            "Der Anlass MCAX999 ist nicht im Katalog. Einen Anlass des Katalogs angeben.",
        ),
    ),
    "occasion with one digit wrong": (
        {"Anlass_Code": "MCAP511"},
        _row("Anlass_Code", "ANLASS_UNBEKANNT", "Der Anlass MCAP511 ist nicht im Katalog. Ist MCAP501 gemeint?"),
    ),
    "occasion in words": ({"Anlass_Code": "Geburt"}, _row("Anlass_Code", "ANLASS_UNBEKANNT", CATALOGUE)),
    "rhythm in words": ({"Ausfuehrungsrhythmus": "oft"}, _row("Ausfuehrungsrhythmus", "WERT", RHYTHMS)),
    "letters instead of mails": (
        {"Vertriebsweg": "BRIEF"},
        _row("Vertriebsweg", "WERT", "Vertriebsweg: einen erlaubten Wert angeben: EMMA"),
    ),
    "from 30 February on": ({"Gueltig_ab": "30.02.2026"}, _day("Gueltig_ab")),
    "two-digit year": ({"Gueltig_ab": "06.11.26"}, _day("Gueltig_ab")),
    "ends before it begins": (
        {"Gueltig_bis": "05.11.2026"},
        _row("Gueltig_bis", "WERT", "Gueltig_bis: nicht vor Gueltig_ab legen"),
    ),
    "list name of 81": (
        {"Listen_Name": "x" * 81},
        _row("Listen_Name", "LAENGE", "Listen_Name: höchstens 80 Zeichen verwenden"),
    ),
    "medium in lower case": (
        {"Werbemittel": "scom"},
        _row("Werbemittel", "FORMAT", "Werbemittel: wie SCOM_GEBURTSTAG schreiben"),
    ),
    "pictures perhaps": (
        {"Beraterbilder": "?"},
        _row("Beraterbilder", "WERT", "Beraterbilder: J oder N angeben"),
    ),
    "response that nobody knows": ({"Response_Umfang": "VERS+GELESEN"}, _row("Response_Umfang", "WERT", KINDS)),
    "expected at 24:00": (
        {"Erwartet_bis": "24:00"},
        _row("Erwartet_bis", "FORMAT", "Erwartet_bis: Uhrzeit als HH:MM schreiben, z. B. 06:00"),
    ),
    "origin that nobody knows": (
        {"Herkunft": "FI"},
        _row("Herkunft", "WERT", "Herkunft: einen erlaubten Wert angeben: BANK, AUTKA"),
    ),
    "two faults": (
        {"Gueltig_ab": "", "Vertriebsweg": "SMS"},
        refused(
            (3, "Vertriebsweg", "WERT", "Vertriebsweg: einen erlaubten Wert angeben: EMMA"),
            (3, "Gueltig_ab", "PFLICHTFELD", "Gueltig_ab: Pflichtfeld füllen"),
            delivery=False,
        ),
    ),
}
VIAM: dict[str, tuple[dict[str, str], Verdict]] = {
    "standard without an occasion": (
        {"Anlass_Code": ""},
        _row("Anlass_Code", "PFLICHTFELD", "Anlass_Code: Pflichtfeld füllen, wenn Ansprache_Typ = STANDARD"),
    ),
    "individual without an occasion": (
        {"Anlass_Code": "", "Ansprache_Typ": "INDIVIDUAL"},
        _row(
            "Anlass_Code",
            "PFLICHTFELD",
            "Ohne Anlass_Code kann die Ansprache nicht laufen. Den eigenen Anlass des Instituts angeben.",
        ),
    ),
    "kind of approach that nobody knows": (
        {"Ansprache_Typ": "EIGEN"},
        _row("Ansprache_Typ", "WERT", "Ansprache_Typ: einen erlaubten Wert angeben: STANDARD, INDIVIDUAL"),
    ),
}
FILES: dict[str, tuple[Damage, Verdict]] = {
    "empty": (lambda _: b"", _file(None, "", "LEER", EMPTY)),
    "packed": (
        packed,
        _file(None, "", "ARCHIV", NO_CSV.replace(", gepackt nur mit gzip und Namensende .gz", ", ungepackt")),
    ),
    "cut": (lambda data: data[:-80], _file(3, "", "SCHLUSSSATZ_FEHLT", CUT)),
    "one letter changed": (after(b"EMMA;06", b"EMMA;07"), _file(4, "Pruefsumme", "PRUEFSUMME", AGAIN)),
    "no row": (
        lambda data: sealed(b"".join(body_of(data).splitlines(keepends=True)[:2])),
        _file(None, "", "ANZAHL", "Die Steuerungsdatei enthält keinen Satz D. Vollständig neu liefern."),
    ),
    "wrong count": (
        after(b"\r\nN;1;", b"\r\nN;2;"),
        _file(4, "Anzahl_D", "ANZAHL", COUNT.replace("2 Sätze", "1 Sätze")),
    ),
    "no leading record": (
        lambda data: sealed(body_of(data).partition(b"\r\n")[2]),
        _file(1, "", "KOPFSATZ_FEHLT", NO_HEAD),
    ),
    "lone CR": (line(3, lambda row: row + b"\r"), _file(3, "", "ZEILENENDE", LONE_CR)),
    "no column for the name": (
        swap("Auftrags_Bezeichnung", "Bezeichnung"),
        _file(
            2,
            "Auftrags_Bezeichnung",
            "SPALTE_FEHLT",
            "Die Pflichtspalte Auftrags_Bezeichnung fehlt. Ist Bezeichnung gemeint?",
        ),
    ),
}


def test_every_bad_control_file_is_answered_with_its_exact_receipt(inbox: Bank, subtests: pytest.Subtests) -> None:
    cases = [("VREKU", what, changes, _whole, verdict) for what, (changes, verdict) in VREKU.items()]
    cases += [("VIAM", what, changes, _whole, verdict) for what, (changes, verdict) in VIAM.items()]
    cases += [("VREKU", what, {}, damage, verdict) for what, (damage, verdict) in FILES.items()]
    arrived = []
    for number, (kind, what, changes, damage, verdict) in enumerate(cases, 1):
        of = "Ansprache_Nr" if kind == "VIAM" else "Auftrags_Nr"
        name = inbox.control(kind, **({of: f"R{number:07d}"} | changes))
        file = inbox.folder("eingang", name)
        file.write_bytes(damage(file.read_bytes()))
        arrived.append((what, name, file.read_bytes(), verdict))
    inbox.scan()
    assert inbox.rows(tables.orders) == inbox.rows(tables.lists) == inbox.rows(tables.deliveries) == []
    assert [row.processed for row in inbox.rows(tables.control_files)] == [False] * len(cases)
    assert inbox.names("eingang") == inbox.names("in_arbeit") == inbox.names("archiv") == []
    for what, name, data, verdict in arrived:
        with subtests.test(what):
            assert outcome(inbox, name, data) == verdict


def test_rules_1_to_4_step_by_step_with_every_receipt(inbox: Bank) -> None:
    """Parked, a broken control file, a good one with a new name, the same again, a rename, the end."""
    parked = (
        "{} Steuerungsdatei vreku. Auftragsbezeichnung im Vertriebsweg EMMA einmal ändern, ohne Umlaute und "
        "Leerzeichen. Hilfe: EMMA-Support, bei AutKA-Lieferungen AutKA-Team"
    )

    def come_of(name: str, verdict: Verdict) -> None:
        assert outcome(inbox, name, arrived[name]) == verdict

    def waiting(code: str, advice: str) -> Verdict:
        return Verdict((("DATEI", "GEPARKT", "", "", "", code, advice),), "geparkt", "PARKED", code)

    arrived = {}

    def take(*names: str) -> None:
        arrived.update({name: inbox.folder("eingang", name).read_bytes() for name in names})
        inbox.scan()

    first = inbox.delivery(1)
    take(first)
    come_of(first, waiting("STEUERUNG_FEHLT", parked.format("Keine")))

    broken, second = inbox.control(Auftrags_Bezeichnung="für"), inbox.delivery(2)
    take(broken, second)
    advice = f"Die Bezeichnung enthält Umlaute (ü). {ALLOWED}"
    come_of(broken, _row("Auftrags_Bezeichnung", "NAME_UMLAUT", advice))
    come_of(second, waiting("STEUERUNG_FEHLERHAFT", parked.format("Fehlerhafte")))
    assert inbox.rows(tables.orders) == inbox.rows(tables.lists) == []

    good = inbox.control(Ereignis="AENDERUNG", Auftrags_Bezeichnung="Fuer")
    take(good)
    come_of(good, DONE)
    assert inbox.deliveries() == [(1, "REGISTERED", ""), (2, "REGISTERED", "")]
    assert inbox.names("geparkt") == []

    same = inbox.control(Ereignis="AENDERUNG", Auftrags_Bezeichnung="Fuer")
    take(same)
    come_of(same, duplicate("Dieser Stand des Auftrags ist schon verarbeitet."))

    older = inbox.control(created_at=NOW - timedelta(days=30), Auftrags_Bezeichnung="Alt")
    take(older)
    come_of(older, duplicate("Eine neuere Steuerungsdatei dieses Auftrags ist schon da; diese ändert nichts."))

    inbox.made_at = NOW - timedelta(days=1)
    other = inbox.control(Ereignis="AENDERUNG", Auftrags_Bezeichnung="Fuer", Anlass_Code="MCAG003")
    take(other)
    come_of(
        other,
        _row(
            "Anlass_Code",
            "ANLASS_ABWEICHEND",
            "Der Auftrag läuft mit MCAG002. Für einen anderen Anlass einen neuen Auftrag anlegen.",
        ),
    )
    assert inbox.order().faulty

    renamed = inbox.control(Ereignis="AENDERUNG", Auftrags_Bezeichnung="Neu")
    take(renamed)
    come_of(renamed, DONE)
    assert inbox.lists() == {"MCAG002_Fuer": True, "MCAG002_Neu": False}

    end, late = inbox.control(Ereignis="ENDE", Auftrags_Bezeichnung="Neu"), inbox.delivery(3)
    take(end, late)
    come_of(end, DONE)
    come_of(
        late,
        refused(
            (
                None,
                "",
                "AUFTRAG_BEENDET",
                "Der Auftrag ist beendet. Für weitere Lieferungen den Auftrag in OSPlus ändern oder neu anlegen.",
            )
        ),
    )


@pytest.mark.parametrize("faulty", [False, True])
def test_a_control_file_from_the_future_does_not_outdo_later_ones(
    inbox: Bank, clock_at: Callable[[datetime], None], faulty: bool
) -> None:
    ahead = NOW + timedelta(days=6)
    early = inbox.control(created_at=ahead, Auftrags_Bezeichnung="für" if faulty else "Anfang")
    inbox.scan()
    assert inbox.verdict(early)[:2] == (("ABGELEHNT", "NAME_UMLAUT") if faulty else ("OK", ""))
    clock_at(NOW + timedelta(days=1))
    later = inbox.control(Ereignis="AENDERUNG", created_at=NOW + timedelta(hours=20), Auftrags_Bezeichnung="Weiter")
    inbox.scan()
    assert inbox.verdict(later) == ("OK", "", "")
    assert inbox.order().name == "Weiter"


def test_one_number_for_two_interfaces_is_refused(inbox: Bank) -> None:
    inbox.control(Auftrags_Nr=APPROACH)
    name = inbox.control("VIAM")
    data = inbox.folder("eingang", name).read_bytes()
    inbox.scan()
    advice = "Die Nummer gehört zu einem Auftrag der Schnittstelle REKU. Eine andere Nummer verwenden."
    assert outcome(inbox, name, data) == _row("", "WIDERSPRUCH", advice)
    assert [row.interface for row in inbox.orders()] == ["REKU"]
    assert ORDER not in {row.order_number for row in inbox.rows(tables.orders)}


LIMITS = {
    # what is changed in a good control file → code and field of its refusal
    "open end of the old kind": ({"Gueltig_bis": "31.12.9999"}, "WERT", "Gueltig_bis"),
    "last day that is taken": ({"Gueltig_bis": "31.12.2199"}, "", ""),
    "begins at the end of the calendar": ({"Gueltig_ab": "31.12.9999"}, "WERT", "Gueltig_ab"),
    "begins in the year 1": ({"Gueltig_ab": "01.01.0001"}, "WERT", "Gueltig_ab"),
    "turned text": ({"Listen_Name": "a\u202eb"}, "STEUERZEICHEN", "Listen_Name"),
}


@pytest.mark.parametrize("rhythm", ["EINMALIG", "TAEGLICH", "JAEHRLICH"])
@pytest.mark.parametrize("case", LIMITS)
def test_days_at_the_edge_of_the_calendar_are_told_and_hold_up_nobody(bank: Bank, case: str, rhythm: str) -> None:
    changes, code, field = LIMITS[case]
    name = bank.control(Ausfuehrungsrhythmus=rhythm, **changes)
    bank.delivery()
    report = bank.scan()
    first = bank.receipt(name)[0]
    assert (first["Fehler_Code"], first["Feld"]) == (code, field)
    assert report.failures == []
    assert bank.deliveries()[0][1] == ("PARKED" if code else "REGISTERED")


@pytest.mark.parametrize(
    ("days", "refused"), [(-401, True), (-399, False), (0, False), (6, False), (8, True), (200_000, True)]
)
def test_a_file_is_made_near_the_day_on_which_it_comes(bank: Bank, days: int, refused: bool) -> None:
    bank.control(created_at=NOW - timedelta(days=1), Gueltig_ab="06.11.2024")
    bank.scan()
    made_at = NOW + timedelta(days=days)
    control = bank.control(created_at=made_at, Ereignis="AENDERUNG", Gueltig_ab="06.11.2024")
    delivery = bank.delivery(created_at=made_at)
    assert bank.scan().failures == []
    for name in (control, delivery) if refused else ():
        first = bank.receipt(name)[0]
        assert (first["Fehler_Code"], first["Feld"]) == ("WERT", "Erstellt_am")
    assert (bank.deliveries()[0][1] == "REFUSED") is refused


def test_control_files_are_small(bank: Bank) -> None:
    good = bank.control_bytes()
    for name, data in {
        "vreku_99950001_R0004711_20261101000000.csv": good + b"x" * 100_001,
        "vreku_99950001_R0004711_20261101000001.csv": good.replace(b"\r\n", b"\r\n" + b"D;NEU\r\n" * 501, 1),
    }.items():
        bank.put(name, data)
        bank.scan()
        assert bank.verdict(name)[1] == "ZU_GROSS"
