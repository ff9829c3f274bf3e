"""Every rule has a row that passes and one that fails, and GX finds exactly the rows a plain model finds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reku.gate import suite
from reku.gate.rule_files import rules_for
from reku.gate.rules import Severity, contract_rules, way_out_rules
from reku.gate.suite import Expected, find_breaches
from reku.records import FaultCode, Head, RecordFile, contracts, row_faults
from reku_testing import world

pytestmark = pytest.mark.gx

LONG = "x" * 300
DAY = date(2026, 11, 22)
EXPECTED = {
    "REKU": Expected(world.BLZ, world.ORDER, "MCAG002", frozenset(), must_choose=False, day=DAY),
    "IAMW": Expected(
        world.BLZ, world.APPROACH, "MCAC120", frozenset({"SCOM_NEUES_GIROKONTO"}), must_choose=False, day=DAY
    ),
}

FREE_TEXT = (
    *("Referenz", "Personennummer", "Anlass_Wert", "Titel", "Vorname", "Nachname", "Firma", "Briefanrede"),
    *("Produkt_Text", "Geschaeftsstelle", "Berater_Nr", "Berater_Absendername", "Berater_E-Mail", "Berater_Telefon"),
    *("Berater_Bild", "Berater_Unterschrift"),
)

# kind, what is changed in a good row, then the field and code by which it is rejected
BAD = [
    ("REKU", {"Referenz": ""}, "Referenz", "PFLICHTFELD"),
    ("REKU", {"Referenz": "R" * 41}, "Referenz", "LAENGE"),
    ("REKU", {"Referenz": "=cmd|'/c calc'!A0"}, "Referenz", "FORMAT"),
    ("REKU", {"Referenz": "@SUM(1)"}, "Referenz", "FORMAT"),
    ("REKU", {"Personennummer": "+49"}, "Personennummer", "FORMAT"),
    ("REKU", {"Personennummer": "-1"}, "Personennummer", "FORMAT"),
    *(("REKU", {field: "a\u202eb"}, field, "STEUERZEICHEN") for field in FREE_TEXT),
    ("IAMW", {"Impuls_ID": "a\u2066b"}, "Impuls_ID", "STEUERZEICHEN"),
    ("IAMW", {"Gueltig_bis": "31.12.9999"}, "Gueltig_bis", "WERT"),
    ("IAMW", {"Gueltig_bis": "31.12.1899"}, "Gueltig_bis", "WERT"),
    ("REKU", {"Personennummer": " "}, "Personennummer", "PFLICHTFELD"),
    ("REKU", {"Personennummer": "0" * 21}, "Personennummer", "LAENGE"),
    ("REKU", {"Anlass_Code": ""}, "Anlass_Code", "PFLICHTFELD"),
    ("REKU", {"Anlass_Code": "MCAUO30"}, "Anlass_Code", "ANLASS_UNBEKANNT"),
    ("REKU", {"Anlass_Code": "MCAG0021"}, "Anlass_Code", "LAENGE"),
    ("REKU", {"Anlass_Code": "MCAG003"}, "Anlass_Code", "ANLASS_ABWEICHEND"),
    ("REKU", {"Anlass_Datum": ""}, "Anlass_Datum", "PFLICHTFELD"),
    ("REKU", {"Anlass_Datum": "29.02.2027"}, "Anlass_Datum", "FORMAT"),
    ("REKU", {"Anlass_Datum": "2026-11-24"}, "Anlass_Datum", "FORMAT"),
    ("REKU", {"Anlass_Datum": "1.1.2026"}, "Anlass_Datum", "FORMAT"),
    ("REKU", {"Anlass_Datum": "01.01.0001"}, "Anlass_Datum", "WERT"),
    ("REKU", {"Anlass_Datum": "31.12.9999"}, "Anlass_Datum", "WERT"),
    ("REKU", {"Anlass_Wert": "5" * 41}, "Anlass_Wert", "LAENGE"),
    ("REKU", {"Anrede": ""}, "Anrede", "PFLICHTFELD"),
    ("REKU", {"Anrede": "5"}, "Anrede", "WERT"),
    ("REKU", {"Anrede": "02"}, "Anrede", "WERT"),
    ("REKU", {"Titel": LONG}, "Titel", "LAENGE"),
    ("REKU", {"Vorname": LONG}, "Vorname", "LAENGE"),
    ("REKU", {"Nachname": ""}, "Nachname", "PFLICHTFELD"),
    ("REKU", {"Nachname": LONG}, "Nachname", "LAENGE"),
    ("REKU", {"Anrede": "4", "Nachname": ""}, "Firma", "PFLICHTFELD"),
    ("REKU", {"Firma": LONG}, "Firma", "LAENGE"),
    ("REKU", {"Briefanrede": LONG}, "Briefanrede", "LAENGE"),
    ("REKU", {"EMail": ""}, "EMail", "PFLICHTFELD"),
    ("REKU", {"EMail": "jemand"}, "EMail", "ADRESSE"),
    ("REKU", {"EMail": "a@kunde.example, b@kunde.example"}, "EMail", "ADRESSE"),
    ("REKU", {"EMail": "l" * 65 + "@kunde.example"}, "EMail", "ADRESSE"),
    ("REKU", {"EMail": f"a@{'d.' * 126}example"}, "EMail", "LAENGE"),
    ("REKU", {"EMail": "zwei..punkte@kunde.example"}, "EMail", "ADRESSE"),
    ("REKU", {"Einwilligung_EMail": ""}, "Einwilligung_EMail", "PFLICHTFELD"),
    ("REKU", {"Einwilligung_EMail": "1"}, "Einwilligung_EMail", "WERT"),
    ("REKU", {"Tracking_Einwilligung": "j"}, "Tracking_Einwilligung", "WERT"),
    ("REKU", {"Produkt_Text": LONG}, "Produkt_Text", "LAENGE"),
    ("REKU", {"Produkt_Text": "Festgeld 6000123456"}, "Produkt_Text", "WERT"),
    ("REKU", {"Produkt_Text": "Giro DE02 1203 0000 0000"}, "Produkt_Text", "WERT"),
    ("REKU", {"Geschaeftsstelle": LONG}, "Geschaeftsstelle", "LAENGE"),
    ("REKU", {"Berater_Nr": LONG}, "Berater_Nr", "LAENGE"),
    ("REKU", {"Berater_Absendername": LONG}, "Berater_Absendername", "LAENGE"),
    ("REKU", {"Berater_E-Mail": LONG}, "Berater_E-Mail", "LAENGE"),
    ("REKU", {"Berater_Telefon": LONG}, "Berater_Telefon", "LAENGE"),
    ("REKU", {"Berater_Bild": LONG}, "Berater_Bild", "LAENGE"),
    ("REKU", {"Berater_Unterschrift": LONG}, "Berater_Unterschrift", "LAENGE"),
    ("IAMW", {"Ansprache_Nr": ""}, "Ansprache_Nr", "PFLICHTFELD"),
    ("IAMW", {"Ansprache_Nr": "I" * 21}, "Ansprache_Nr", "LAENGE"),
    ("IAMW", {"Ansprache_Nr": "I0000816"}, "Ansprache_Nr", "WIDERSPRUCH"),
    ("IAMW", {"Impuls_ID": LONG}, "Impuls_ID", "LAENGE"),
    ("IAMW", {"Anlass_Code": "x" * 21}, "Anlass_Code", "LAENGE"),
    ("IAMW", {"Anlass_Code": "MCAC121"}, "Anlass_Code", "ANLASS_ABWEICHEND"),
    ("IAMW", {"Anlass_Datum": "1899"}, "Anlass_Datum", "FORMAT"),
    ("IAMW", {"Content_Schluessel": "X" * 300}, "Content_Schluessel", "LAENGE"),
    ("IAMW", {"Content_Schluessel": "SCOM_GIBT_ES_NICHT"}, "Content_Schluessel", "WERT"),
    ("IAMW", {"Content_Schluessel": "klein"}, "Content_Schluessel", "FORMAT"),
    ("IAMW", {"Prioritaet": "hoch"}, "Prioritaet", "FORMAT"),
    ("IAMW", {"Prioritaet": "0"}, "Prioritaet", "WERT"),
    ("IAMW", {"Prioritaet": "10"}, "Prioritaet", "WERT"),
    ("IAMW", {"Gueltig_bis": "30.11."}, "Gueltig_bis", "FORMAT"),
    ("IAMW", {"Nachname": ""}, "Nachname", "PFLICHTFELD"),
    ("REKU", {"Titel": "NULL"}, "Titel", "BESCHAEDIGT"),
    ("REKU", {"Vorname": "JÃ¶rdis"}, "Vorname", "BESCHAEDIGT"),
    ("REKU", {"Nachname": "M&uuml;ller"}, "Nachname", "BESCHAEDIGT"),
    ("REKU", {"Firma": "#NAME?"}, "Firma", "BESCHAEDIGT"),
    ("REKU", {"Briefanrede": "{{ Anrede }}"}, "Briefanrede", "BESCHAEDIGT"),
    ("REKU", {"Produkt_Text": "Sparbrief \ufffd"}, "Produkt_Text", "BESCHAEDIGT"),
    ("REKU", {"Geschaeftsstelle": "M├╝nchen"}, "Geschaeftsstelle", "BESCHAEDIGT"),
    ("REKU", {"Berater_Absendername": "%NAME%"}, "Berater_Absendername", "BESCHAEDIGT"),
    ("REKU", {"Referenz": "1,23E+11"}, "Referenz", "BESCHAEDIGT"),
    ("REKU", {"Personennummer": "1,23E+11"}, "Personennummer", "BESCHAEDIGT"),
]

GOOD = [
    ("REKU", {}),
    ("REKU", {"Referenz": "R" * 40, "Personennummer": "9" * 20}),
    ("REKU", {"Anlass_Datum": "29.02.2028"}),
    ("REKU", {"Anrede": "4", "Nachname": "", "Vorname": "", "Firma": "Müßig & Söhne KG"}),
    ("REKU", {"Anrede": "3", "Nachname": "Ł" * 60}),
    ("REKU", {"EMail": "jörg@müßig.example"}),
    ("REKU", {"Produkt_Text": "Sparbrief 2026–2031 (AZ2), Ende 31.12.2031"}),
    ("REKU", {"EMail": "o'neill+tag@kunde.example"}),
    ("REKU", {"EMail": "l" * 64 + "@kunde.example"}),
    ("REKU", {"Einwilligung_EMail": "N", "Tracking_Einwilligung": ""}),
    ("REKU", {"Tracking_Einwilligung": "J", "Berater_E-Mail": "ole.muster@sparkasse.example"}),
    ("IAMW", {}),
    ("IAMW", {"Anlass_Code": ""}),
    ("IAMW", {"Content_Schluessel": "SCOM_NEUES_GIROKONTO", "Prioritaet": "9", "Gueltig_bis": "31.12.2199"}),
]


def _row(kind: str, number: int = 1, **changes: str) -> dict[str, str]:
    return (world.reku_fields if kind == "REKU" else world.iamw_fields)(number, **changes)


def _broken(kind: str, rows: list[dict[str, str]], expected: Expected | None = None) -> list[tuple[str, str, str, int]]:
    """Severity, field, code and line of every breach; lines count from 3, as in a file."""
    findings = find_breaches(
        tuple(rows[0]),
        [list(fields.values()) for fields in rows],
        list(range(3, 3 + len(rows))),
        rules_for(contracts()[kind], ""),
        expected or EXPECTED[kind],
    )
    return [
        (finding.rule.severity.value, finding.rule.field, finding.rule.code.value, line)
        for finding in findings
        for line in finding.lines
    ]


def test_every_rule_rejects_its_bad_row_and_leaves_its_neighbours_alone() -> None:
    for kind in ("REKU", "IAMW"):
        cases = [case for case in BAD if case[0] == kind]
        rows = []
        for number, (_, changes, _, _) in enumerate(cases):
            rows += [_row(kind, 2 * number + 1), _row(kind, 2 * number + 2, **changes)]
        first: dict[int, tuple[str, str]] = {}
        for severity, field, code, line in _broken(kind, rows):
            if severity == Severity.REJECT:
                first.setdefault(line, (field, code))
        wanted = {4 + 2 * number: (field, code) for number, (_, _, field, code) in enumerate(cases)}
        assert first == wanted


def test_every_rule_of_the_contracts_has_a_bad_row_here() -> None:
    tried = {(kind, field, code) for kind, _, field, code in BAD} | {
        (kind, "Referenz", "DUBLETTE") for kind in ("REKU", "IAMW")
    }
    shared = {("IAMW", field, code) for kind, _, field, code in BAD if kind == "REKU"}
    for kind in ("REKU", "IAMW"):
        for rule in rules_for(contracts()[kind], ""):
            if rule.severity == Severity.REJECT:
                assert (kind, rule.field, rule.code.value) in tried | shared, rule.name


@pytest.mark.parametrize("kind", ["REKU", "IAMW"])
def test_good_rows_pass(kind: str) -> None:
    rows = [changes for of, changes in GOOD if of == kind]
    assert _broken(kind, [_row(kind, number, **changes) for number, changes in enumerate(rows, start=1)]) == []


def test_every_rule_answers_with_how_many_rows_it_looked_at() -> None:
    rules = rules_for(contracts()["REKU"], "")
    rows = [_row("REKU", 1), _row("REKU", 2, Anrede=""), _row("REKU", 3, EMail=" "), _row("REKU", 4, EMail="x")]
    found = find_breaches(tuple(rows[0]), [list(row.values()) for row in rows], [3, 4, 5, 6], rules, EXPECTED["REKU"])
    assert [finding.rule for finding in found] == list(rules)
    counts = {finding.rule.name: (finding.looked_at, finding.lines) for finding in found}
    assert counts["Anrede.required.1"] == (4, (4,))
    assert counts["Anrede.among.2"] == (3, ())
    assert counts["Nachname.required.1"] == (4, ())
    assert counts["EMail.address.3"] == (3, (6,))
    assert counts["Berater_Bild.max_length.1"] == (0, ())
    assert [finding.looked_at for finding in find_breaches((), [], [], rules, EXPECTED["REKU"])] == [0] * len(rules)


def test_an_expectation_describes_itself_once_however_often_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """GX makes a handful of each in a run, and asks them more than a hundred times: most of what a run would cost."""
    from great_expectations.expectations.expectation import Expectation

    described: list[str] = []
    real = Expectation.configuration

    def counted(expectation: Expectation) -> object:
        described.append(expectation.meta["rule"])
        return real.fget(expectation)

    monkeypatch.setattr(Expectation, "configuration", property(counted))
    rules = rules_for(contracts()["REKU"], "")[:10]
    row = _row("REKU")
    find_breaches(tuple(row), [list(row.values())], [3], rules, EXPECTED["REKU"])
    assert set(described) == set(range(len(rules)))
    assert len(described) < 20 * len(rules)


def test_a_repeated_reference_rejects_all_rows_but_the_first() -> None:
    rows = [_row("REKU", n, Referenz="R-1") for n in (1, 2, 3)] + [_row("REKU", 4)]
    assert _broken("REKU", rows) == [("reject", "Referenz", "DUBLETTE", 4), ("reject", "Referenz", "DUBLETTE", 5)]


def test_warnings_keep_nobody_out() -> None:
    rows = [_row("REKU", 1), _row("REKU", 2, Personennummer="0000000001"), _row("REKU", 3, **{"Berater_E-Mail": "x"})]
    assert _broken("REKU", rows) == [
        ("warn", "Personennummer", "DUBLETTE", 4),
        ("warn", "Berater_E-Mail", "ADRESSE", 5),
    ]


def test_a_choice_of_media_makes_the_content_key_mandatory() -> None:
    several = Expected(world.BLZ, world.APPROACH, "MCAC120", frozenset({"SCOM_A", "SCOM_B"}), must_choose=True, day=DAY)
    rows = [_row("IAMW", 1), _row("IAMW", 2, Content_Schluessel="SCOM_B")]
    assert _broken("IAMW", rows, several) == [("reject", "Content_Schluessel", "WERT", 3)]


def test_columns_may_stand_in_any_order_and_optional_ones_be_missing() -> None:
    rows = []
    for number, changes in enumerate([{}, {"Anrede": "4"}, {"Nachname": ""}], start=1):
        fields = _row("REKU", number, **changes)
        rows.append({name: fields[name] for name in reversed(fields) if name not in ("Firma", "Titel")})
    assert _broken("REKU", rows) == [
        ("reject", "Nachname", "PFLICHTFELD", 5),
        ("reject", "Firma", "PFLICHTFELD", 4),
    ]


def test_all_bad_rows_of_a_rule_are_listed_and_not_the_first_twenty() -> None:
    bad = set(range(7, 5_007, 83))
    rows = [_row("REKU", n, **({"EMail": "kaputt@"} if n in bad else {})) for n in range(1, 5_001)]
    assert len(bad) > 60
    assert _broken("REKU", rows) == [("reject", "EMail", "ADRESSE", n + 2) for n in sorted(bad) if n <= 5_000]


def test_a_delivery_judged_in_pieces_gets_the_same_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [{}, {"Referenz": "R-1"}, {"EMail": "kaputt@"}, {"Nachname": " "}, {"Referenz": "R-1", "Anrede": "7"}]
    rows = [_row("REKU", number, **changes[number % 5]) for number in range(1, 24)]
    at_once = _broken("REKU", rows)
    assert len({line for *_, line in at_once}) > 10
    monkeypatch.setattr(suite, "_AT_ONCE", 8)  # three pieces, the last one not full
    assert _broken("REKU", rows) == at_once


_VALUES = {
    "Referenz": st.sampled_from(["A", "B", "C", "D", "", " ", "R" * 41]),
    "Anlass_Code": st.sampled_from(["MCAG002", "MCAG001", "mcag002", "", "MCAG00٢"]),
    "Anlass_Datum": st.sampled_from(["24.11.2026", "31.11.2026", "24.11.26", "", "٢4.11.2026"]),
    "Anrede": st.sampled_from(["1", "2", "3", "4", "5", ""]),
    "Nachname": st.sampled_from(["Müßig", "", " ", "N" * 61]),
    "Firma": st.sampled_from(["", "Muster GmbH", "F" * 81]),
    "EMail": st.sampled_from(
        ["a@kunde.example", "A@müßig.example", "a@", "@b", "", "a b@kunde.example", "a@b@c.example"]
    ),
    "Einwilligung_EMail": st.sampled_from(["J", "N", "", "X"]),
    "Tracking_Einwilligung": st.sampled_from(["J", "N", "", "x"]),
}


# A run of GX takes a second, however many rows it gets: few examples of many rows, and no shrinking.
@settings(
    max_examples=3,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(st.fixed_dictionaries(_VALUES), min_size=80, max_size=160))
def test_the_verdict_is_that_of_the_plain_model(drawn: list[dict[str, str]]) -> None:
    contract = contracts()["REKU"]
    rows = [world.reku_fields(number, **changes) for number, changes in enumerate(drawn, start=1)]
    head = Head("REKU", "1", world.BLZ, world.ORDER, "000017", datetime(2026, 11, 22, tzinfo=UTC), "FI", "EMMA", "T")
    lines = list(range(3, 3 + len(rows)))
    cells = [list(fields.values()) for fields in rows]
    plain = row_faults(contract, RecordFile(contract, head, world.REKU_COLUMNS, cells, lines))
    found = find_breaches(world.REKU_COLUMNS, cells, lines, contract_rules(contract), EXPECTED["REKU"])
    first: dict[tuple[int | None, str], FaultCode] = {}
    for fault in plain:
        first.setdefault((fault.line, fault.field), fault.code)
    by_gx = {(line, finding.rule.field): set[FaultCode]() for finding in found for line in finding.lines}
    for finding in found:
        for line in finding.lines:
            by_gx[line, finding.rule.field].add(finding.rule.code)
    assert by_gx.keys() == first.keys()
    assert all(code in by_gx[place] for place, code in first.items())


@pytest.mark.parametrize(
    ("encoding", "value", "kept_out"),
    [
        ("iso-8859-15", "Ωmega-3", True),
        ("iso-8859-15", "Müßig-€-3", False),
        ("iso-8859-15", "R1", False),
        ("utf-8", "Ωmega-3", False),
    ],
)
def test_what_goes_back_fits_into_the_banks_response_file(
    encoding: Literal["utf-8", "iso-8859-15"], value: str, kept_out: bool
) -> None:
    rules = way_out_rules(contracts()["REKU"], encoding)
    assert [(rule.field, rule.code.value) for rule in rules] == [
        ("Referenz", "ZEICHENSATZ"),
        ("Personennummer", "ZEICHENSATZ"),
    ]
    rows = [_row("REKU", 1), _row("REKU", 2, Referenz=value)]
    findings = find_breaches(tuple(rows[0]), [list(row.values()) for row in rows], [3, 4], rules, EXPECTED["REKU"])
    assert [list(finding.lines) for finding in findings] == [[4] if kept_out else [], []]
