"""Rows: each rule of the contracts broken once, the exact fault, and no personal value in any advice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reku.records import Contract, Fault, FaultCode, Head, RecordFile, contracts, row_faults

C = FaultCode


def filled(kind: str, **changes: str) -> dict[str, str]:
    """A good row: the contract's own examples."""
    row = {column.name: column.example or column.default for column in contracts()[kind].columns}
    return {**row, **{name.replace("__", "-"): value for name, value in changes.items()}}


def as_file(kind: str, *rows: dict[str, str], without: tuple[str, ...] = ()) -> tuple[Contract, RecordFile]:
    contract = contracts()[kind]
    order = {"VREKU": "R0004711", "REKU": "R0004711", "VIAM": "I0000815", "IAMW": "I0000815"}.get(kind, "")
    head = Head(kind, "1", "99950001", order, "000017", datetime(2026, 11, 22, tzinfo=UTC), "FI", "EMMA", "T")
    columns = tuple(column.name for column in contract.columns if column.name not in without)
    cells = [[row[name] for name in columns] for row in rows]
    return contract, RecordFile(contract, head, columns, cells, list(range(3, 3 + len(rows))))


def found(faults: list[Fault]) -> list[tuple[FaultCode, int | None, str]]:
    return [(fault.code, fault.line, fault.field) for fault in faults]


@pytest.mark.parametrize("kind", ["VREKU", "VIAM", "REKU", "IAMW", "RESPONSE", "QUITTUNG", "VTM_AKTE"])
def test_every_contract_s_own_examples_make_a_good_row(kind: str) -> None:
    assert row_faults(*as_file(kind, filled(kind))) == []


FIRM = {"Anrede": "4", "Firma": "Muster & Söhne", "Nachname": "", "Vorname": "", "Briefanrede": ""}
OPENED = {"Ereignis_Art": "OEFF", "Grund_Code": ""}
CLICKED = {"Ereignis_Art": "KLIC", "Grund_Code": "", "Link_Nr": "3"}
UNSUBSCRIBED = {"Ereignis_Art": "ABME", "Grund_Code": "LINK", "Abmelde_Umfang": "LISTE"}
ROW = {"Ebene": "SATZ", "Zeile": "7", "Referenz": "x", "Status": "ABGELEHNT"}

GOOD = [
    ("REKU", FIRM),
    ("REKU", {"Berater_E-Mail": "no address", "Tracking_Einwilligung": ""}),  # then the institute's own sender is taken
    ("REKU", {"EMail": "jörg@müller.example"}),
    ("REKU", {"Anlass_Datum": "29.02.2028"}),
    ("VREKU", {"Gueltig_bis": "06.11.2026"}),  # its only day
    ("VREKU", {"Herkunft": "AUTKA", "Erwartet_bis": "", "Response_Umfang": "NVER"}),
    ("VIAM", {"Ansprache_Typ": "INDIVIDUAL", "Anlass_Code": ""}),
    ("VIAM", {"Ansprache_Typ": "INDIVIDUAL", "Anlass_Code": "HAUS_01"}),
    ("IAMW", {"Anlass_Code": "", "Content_Schluessel": "", "Prioritaet": "9"}),
    ("RESPONSE", OPENED),
    ("RESPONSE", CLICKED),
    ("RESPONSE", UNSUBSCRIBED),
    ("QUITTUNG", ROW),
    ("QUITTUNG", {"Status": "OK", "Fehler_Code": "", "Hinweis": ""}),
    ("QUITTUNG", {"Status": "DUBLETTE", "Fehler_Code": ""}),
]


@pytest.mark.parametrize(("kind", "changes"), GOOD)
def test_good_rows_have_no_faults(kind: str, changes: dict[str, str]) -> None:
    assert row_faults(*as_file(kind, {**filled(kind), **changes})) == []


BROKEN = [
    ("REKU", {"Referenz": ""}, [(C.PFLICHTFELD, "Referenz")]),
    ("REKU", {"Referenz": "   "}, [(C.PFLICHTFELD, "Referenz")]),
    ("REKU", {"Referenz": "x" * 41}, [(C.LAENGE, "Referenz")]),
    ("REKU", {"Anlass_Code": "MCAG02"}, [(C.ANLASS_UNBEKANNT, "Anlass_Code")]),
    ("REKU", {"Anlass_Code": "MCAG0022"}, [(C.LAENGE, "Anlass_Code")]),
    ("REKU", {"Anlass_Datum": "30.02.2027"}, [(C.FORMAT, "Anlass_Datum")]),
    ("REKU", {"Anlass_Datum": "2026-11-24"}, [(C.FORMAT, "Anlass_Datum")]),
    ("REKU", {"Anrede": "5"}, [(C.WERT, "Anrede")]),
    ("REKU", {"Anrede": "Frau"}, [(C.WERT, "Anrede")]),
    ("REKU", {"Anrede": ""}, [(C.PFLICHTFELD, "Anrede")]),
    ("REKU", {"Nachname": ""}, [(C.PFLICHTFELD, "Nachname")]),
    ("REKU", {**FIRM, "Firma": " "}, [(C.PFLICHTFELD, "Firma")]),
    ("REKU", {"EMail": ""}, [(C.PFLICHTFELD, "EMail")]),
    ("REKU", {"EMail": "no address"}, [(C.ADRESSE, "EMail")]),
    ("REKU", {"EMail": "a@b.example, c@d.example"}, [(C.ADRESSE, "EMail")]),
    ("REKU", {"EMail": "a" * 65 + "@b.example"}, [(C.ADRESSE, "EMail")]),
    ("REKU", {"EMail": "a@" + "b" * 250 + ".example"}, [(C.LAENGE, "EMail")]),
    ("REKU", {"Einwilligung_EMail": "j"}, [(C.WERT, "Einwilligung_EMail")]),
    ("REKU", {"Einwilligung_EMail": ""}, [(C.PFLICHTFELD, "Einwilligung_EMail")]),
    ("REKU", {"Tracking_Einwilligung": "1"}, [(C.WERT, "Tracking_Einwilligung")]),
    ("REKU", {"Anlass_Wert": "x" * 41, "Titel": "x" * 31}, [(C.LAENGE, "Anlass_Wert"), (C.LAENGE, "Titel")]),
    ("VREKU", {"BLZ": "99950002"}, [(C.WIDERSPRUCH, "BLZ")]),
    ("VREKU", {"BLZ": "9995001"}, [(C.FORMAT, "BLZ")]),
    ("VREKU", {"BLZ": "9995000²"}, [(C.FORMAT, "BLZ")]),
    ("VREKU", {"Auftrags_Nr": "R0004712"}, [(C.WIDERSPRUCH, "Auftrags_Nr")]),
    ("VREKU", {"Auftrags_Nr": "r0004711"}, [(C.FORMAT, "Auftrags_Nr")]),
    ("VREKU", {"Auftrags_Bezeichnung": "Geburtstag für alle"}, [(C.NAME_UMLAUT, "Auftrags_Bezeichnung")]),
    ("VREKU", {"Auftrags_Bezeichnung": "x" * 61}, [(C.LAENGE, "Auftrags_Bezeichnung")]),
    ("VREKU", {"Ereignis": "LOESCHEN"}, [(C.WERT, "Ereignis")]),
    ("VREKU", {"Ausfuehrungsrhythmus": "STUENDLICH"}, [(C.WERT, "Ausfuehrungsrhythmus")]),
    ("VREKU", {"Vertriebsweg": "BRIEF"}, [(C.WERT, "Vertriebsweg")]),
    ("VREKU", {"Gueltig_bis": "05.11.2026"}, [(C.WERT, "Gueltig_bis")]),
    ("VREKU", {"Response_Umfang": "VERS,OEFF"}, [(C.WERT, "Response_Umfang")]),
    ("VREKU", {"Response_Umfang": "VERS+"}, [(C.WERT, "Response_Umfang")]),
    ("VREKU", {"Erwartet_bis": "24:00"}, [(C.FORMAT, "Erwartet_bis")]),
    ("VREKU", {"Herkunft": "ZENTRALE"}, [(C.WERT, "Herkunft")]),
    ("VREKU", {"Beraterbilder": "ja"}, [(C.WERT, "Beraterbilder")]),
    ("VIAM", {"Anlass_Code": ""}, [(C.PFLICHTFELD, "Anlass_Code")]),
    ("VIAM", {"Ansprache_Nr": "I0000816"}, [(C.WIDERSPRUCH, "Ansprache_Nr")]),
    ("VIAM", {"Ansprache_Bezeichnung": "Willkommen Giro"}, [(C.NAME_UMLAUT, "Ansprache_Bezeichnung")]),
    ("IAMW", {"Ansprache_Nr": "I0000816"}, [(C.WIDERSPRUCH, "Ansprache_Nr")]),
    ("IAMW", {"Prioritaet": "0"}, [(C.WERT, "Prioritaet")]),
    ("IAMW", {"Prioritaet": "10"}, [(C.WERT, "Prioritaet")]),
    ("IAMW", {"Prioritaet": "hoch"}, [(C.FORMAT, "Prioritaet")]),
    ("RESPONSE", {"Ereignis_ID": "XYZ"}, [(C.FORMAT, "Ereignis_ID")]),
    ("RESPONSE", {"Ereignis_Zeit": "22.11.2026"}, [(C.FORMAT, "Ereignis_Zeit")]),
    ("RESPONSE", {"Grund_Code": ""}, [(C.PFLICHTFELD, "Grund_Code")]),
    ("RESPONSE", {**OPENED, "Link_Nr": "1"}, [(C.WERT, "Link_Nr")]),
    ("RESPONSE", {**CLICKED, "Link_Nr": ""}, [(C.PFLICHTFELD, "Link_Nr")]),
    ("RESPONSE", {**CLICKED, "Abmelde_Umfang": "LISTE"}, [(C.WERT, "Abmelde_Umfang")]),
    ("RESPONSE", {**UNSUBSCRIBED, "Abmelde_Umfang": ""}, [(C.PFLICHTFELD, "Abmelde_Umfang")]),
    ("RESPONSE", {"Lieferungs_Nr": "17"}, [(C.FORMAT, "Lieferungs_Nr")]),
    ("QUITTUNG", {**ROW, "Zeile": ""}, [(C.PFLICHTFELD, "Zeile")]),
    ("QUITTUNG", {"Fehler_Code": ""}, [(C.PFLICHTFELD, "Fehler_Code")]),
    ("QUITTUNG", {"Status": "OK"}, [(C.WERT, "Fehler_Code")]),
]


@pytest.mark.parametrize(("kind", "changes", "expected"), BROKEN)
def test_a_broken_row_shows_its_exact_faults(
    kind: str, changes: dict[str, str], expected: list[tuple[FaultCode, str]]
) -> None:
    faults = row_faults(*as_file(kind, {**filled(kind), **changes}))
    assert found(faults) == [(code, 3, field) for code, field in expected]
    for fault in faults:
        assert 0 < len(fault.advice) <= 200
        personal = {changes.get(name) for name in ("Nachname", "EMail", "Firma", "Titel", "Anlass_Wert")}
        assert not any(value and value.strip() and value in fault.advice for value in personal)


def test_every_fault_of_a_row_is_told_in_the_order_of_lines_and_columns() -> None:
    bad = {**filled("REKU"), "Referenz": "R2", "EMail": "x", "Anrede": "9", "Anlass_Datum": "x"}
    faults = row_faults(*as_file("REKU", bad, filled("REKU"), {**bad, "Referenz": "R3", "Titel": "x" * 31}))
    assert found(faults) == [
        (C.FORMAT, 3, "Anlass_Datum"),
        (C.WERT, 3, "Anrede"),
        (C.ADRESSE, 3, "EMail"),
        (C.FORMAT, 5, "Anlass_Datum"),
        (C.WERT, 5, "Anrede"),
        (C.LAENGE, 5, "Titel"),
        (C.ADRESSE, 5, "EMail"),
    ]
    assert {fault.reference for fault in faults if fault.line == 3} == {"R2"}


def test_the_second_row_with_a_reference_is_the_bad_one() -> None:
    row = filled("REKU")
    faults = row_faults(*as_file("REKU", row, row, {**row, "Referenz": "other"}, row))
    assert found(faults) == [(C.DUBLETTE, 4, "Referenz"), (C.DUBLETTE, 6, "Referenz")]
    assert faults[1].advice == "Referenz: jeden Wert nur in einem Satz verwenden"


def test_of_each_field_the_first_fault_is_told() -> None:
    row = {**filled("RESPONSE"), **OPENED, "Link_Nr": "x"}
    (fault,) = row_faults(*as_file("RESPONSE", row))
    assert fault.code == C.WERT, "it should be empty, so it does not matter how it is written"
    assert fault.advice.startswith("Link_Nr: nur füllen, wenn Ereignis_Art = ")


def test_columns_that_are_not_there_count_as_empty() -> None:
    kind, row = "REKU", filled("REKU")
    optional = tuple(column.name for column in contracts()[kind].columns if column.obligation == "O")
    assert row_faults(*as_file(kind, row, without=optional)) == []
    assert found(row_faults(*as_file(kind, row, without=("Nachname",)))) == [(C.PFLICHTFELD, 3, "Nachname")]


def test_a_long_reference_is_cut_to_what_a_receipt_can_hold() -> None:
    (fault,) = row_faults(*as_file("REKU", {**filled("REKU"), "Referenz": "x" * 50}))
    assert (fault.code, fault.reference) == (C.LAENGE, "x" * 40)
