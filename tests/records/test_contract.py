"""Contracts: what the YAML files may say, and what is found wrong in them with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from reku.foundation.errors import ConfigError
from reku.records import FaultCode, contracts, load_contracts, match_name
from reku.sources.agree21.kinds import Kind

GOOD = r"""kind: PROBE
title: a probe
direction: in
version: "1"
file_name: '^probe_(?P<blz>\d{8})\.csv$'
file_name_example: probe_99950001.csv
encodings: [utf-8]
columns:
  - {name: A, type: AN(3), obligation: M}
  - {name: B, type: ENUM, obligation: O, values: {X: an x}}
"""


def written(folder: Path, text: str, name: str = "probe.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_all_kinds_are_there() -> None:
    osplus, agree21 = (
        {"VREKU", "VIAM", "REKU", "IAMW", "BERATER", "RESPONSE", "QUITTUNG"},
        {*Kind, "AUSWAHL", "VTM_AKTE", "BRIEF", "AGREEMAILING", "AGREEMAILING_ANTWORT", "BAP_STEUERUNG", "FE3053"},
    )
    assert set(contracts()) == osplus | agree21


def test_a_good_contract_loads(tmp_path: Path) -> None:
    assert load_contracts(written(tmp_path, GOOD))["PROBE"].mandatory == ("A",)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("version:", "verison:", 4, "Did you mean 'version'"),
        ('version: "1"\n', "", None, "version"),
        ("[utf-8]", "[latin-1]", 7, "iso-8859-15"),
        ("encodings: [utf-8]", "encodings: []", 7, "encodings"),
        ("AN(3)", "AN(0)", 9, r"AN\(n\), N\(n\), Z, D, DT, J/N or ENUM"),
        ("AN(3)", "TEXT", 9, r"AN\(n\), N\(n\), Z, D, DT, J/N or ENUM"),
        ("obligation: M}", "obligation: X}", 9, "M"),
        ("obligation: M}", "obligation: M, pattern: '['}", 9, "regular expression"),
        ("obligation: M}", "obligation: M, characters: 'z-a'}", 9, "regular expression"),
        ("obligation: M}", "obligation: M, pattren: x}", 9, "Did you mean 'pattern'"),
        ("obligation: M}", "obligation: M, fault: KAPUTT}", 9, "KAPUTT"),
        ("obligation: M}", "obligation: M, mandatory_when: {B: [X]}}", 9, "obligation C"),
        (", values: {X: an x}", "", 10, "values belong to type ENUM"),
        (
            "obligation: O, values: {X: an x}",
            "obligation: O, values: {X: an x}, codes: {X: '1', Y: '1'}",
            10,
            "share one",
        ),
        ("name: B", "name: A", 1, "column A stands twice"),
        (
            "obligation: O, values: {X: an x}",
            "obligation: O, values: {X: an x}, stands_for: {Y: EX}",
            10,
            "needs one word",
        ),
        (
            "name: B",
            "role: address, name: B",
            1,
            "columns of the roles reference, person_number, occasion_date, consent",
        ),
        ("obligation: M}", "obligation: C, mandatory_when: {D: [X]}}", 1, "hangs on D"),
        ("obligation: M}", "obligation: M, not_before: D}", 1, "hangs on D"),
        ("encodings: [utf-8]", "encodings: [utf-8]\nunique: [D]", 1, "unique names D"),
        (r"\d{8})", r"\d{8}", 5, "regular expression"),
        ("probe_99950001.csv", "prob_99950001.csv", 1, "file_name_example does not match"),
        ("kind: PROBE", "kind: probe", 1, "kind"),
        ("kind: PROBE", "kind: PROBE\nkind: PROBE", 2, "twice"),
        ("kind: PROBE", "kind: [", None, "Not valid YAML"),
    ],
)
def test_a_faulty_contract_is_named_with_file_and_line(
    tmp_path: Path, old: str, new: str, line: int | None, says: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=says) as error:
        load_contracts(written(tmp_path, GOOD.replace(old, new, 1)))
    assert error.value.file == tmp_path / "probe.yaml"
    if line is not None:
        assert error.value.line == line


def test_two_contracts_of_one_kind_name_both_files(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    with pytest.raises(ConfigError, match=r"again\.yaml.*|probe\.yaml") as error:
        load_contracts(written(tmp_path, GOOD, "again.yaml"))
    assert "again.yaml" in str(error.value)
    assert "probe.yaml" in str(error.value)


def test_a_folder_without_contracts_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No contract files"):
        load_contracts(tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "groups"),
    [
        (
            "vreku_99950001_R0004711_20261105213000.csv",
            "VREKU",
            {"blz": "99950001", "auftrag": "R0004711", "zeit": "20261105213000"},
        ),
        (
            "reku_00950001_R1_000017_20261122021500.csv.gz",
            "REKU",
            {"blz": "00950001", "auftrag": "R1", "lnr": "000017", "zeit": "20261122021500"},
        ),
        ("quittung_reku_x.csv", "QUITTUNG", {"name": "reku_x.csv"}),
    ],
)
def test_a_name_tells_the_kind_and_its_parts(name: str, kind: str, groups: dict[str, str]) -> None:
    found = match_name(name)
    assert found is not None
    assert (found[0].kind, found[1]) == (kind, groups)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "readme.txt",
        "reku_9995001_R1_000017_20261122021500.csv",
        "reku_99950001_r1_000017_20261122021500.csv",
        "reku_99950001_R1_17_20261122021500.csv",
        "reku_99950001_R1_000017_20261122021500.csv.tmp",
        "reku_99950001_R1_000017_20261122021500.csv\n",
        "../reku_99950001_R1_000017_20261122021500.csv",
        "vreku_99950001_R1_20261105213000.csv.gz",
        "reku_٩٩٩٥٠٠٠١_R1_000017_20261122021500.csv",
    ],
)
def test_a_name_that_nobody_agreed_on_is_nobody_s(name: str) -> None:
    assert match_name(name) is None


def test_every_column_has_a_meaning_and_every_code_too() -> None:
    assert not [(kind, c.name) for kind, contract in contracts().items() for c in contract.columns if not c.meaning]
    assert all(code.meaning for code in FaultCode)
    assert all(len(code) <= 30 for code in FaultCode)  # Fehler_Code is AN(30)
