"""Rules from contracts, and rule files: what is wrong with them is said with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reku.errors import ConfigError
from reku.quality.rule_files import check_rule_files, load_rule_files, rules_for
from reku.quality.rules import Severity, contract_rules
from reku.records import contracts
from reku.settings import INCLUDE

CONTRACTS = INCLUDE / "contracts"
GOOD = """\
kind: REKU
rules:
  - name: age_given
    field: Anlass_Wert
    check: {kind: required}
    severity: warn
    code: PFLICHTFELD
    advice: Alter angeben
"""


def _written(folder: Path, text: str) -> Path:
    file = folder / "own.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_shipped_rule_files_are_sound_and_used() -> None:
    assert check_rule_files(INCLUDE / "expectations", CONTRACTS) == []
    for kind in ("REKU", "IAMW"):
        contract = contracts()[kind]
        rules = rules_for(contract, "MCAG002")
        names = [rule.name for rule in rules]
        assert len(names) == len(set(names))
        assert "occasion_of_order" in names
        own = contract_rules(contract)
        assert rules[: len(own)] == own


def test_every_column_with_a_demand_has_a_rule() -> None:
    for kind in ("REKU", "IAMW"):
        fields = {rule.field for rule in contract_rules(contracts()[kind])}
        assert fields == {column.name for column in contracts()[kind].columns}


def test_a_rule_of_ones_own_is_data_alone(tmp_path: Path) -> None:
    _written(tmp_path, GOOD)
    (rule,) = load_rule_files(tmp_path, CONTRACTS)["REKU"]
    assert (rule.name, rule.field, rule.severity) == ("age_given", "Anlass_Wert", Severity.WARN)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("kind: REKU", "kind: REKUU", 1, "REKU"),
        ("field: Anlass_Wert", "field: Anlas_Wert", 4, "Anlass_Wert"),
        ("{kind: required}", "{kind: requird}", 5, "required"),
        ("severity: warn", "severity: warning", 6, "warn"),
        ("code: PFLICHTFELD", "code: PFLICHT", 7, "PFLICHTFELD"),
        ("    advice: Alter angeben\n", "", 3, "advice"),
        ("    severity: warn", "    severty: warn", 6, "severity"),
        ("{kind: required}", "{kind: pattern, regex: '['}", 5, "regular expression"),
        ("{kind: required}", "{kind: required, when: {Alter: ['1']}}", 4, "Alter"),
        ("name: age_given", "name: Referenz.required.1", 3, "twice"),
        ("rules:", "rules: [", 3, "YAML"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    file = _written(tmp_path, GOOD.replace(old, new, 1))
    fault, *_ = check_rule_files(tmp_path, CONTRACTS)
    assert fault.file == file
    assert fault.line is not None
    assert abs(fault.line - line) <= 1
    assert said in str(fault)
    with pytest.raises(ConfigError):
        load_rule_files(tmp_path, CONTRACTS)


def test_one_broken_file_leaves_the_others_readable(tmp_path: Path) -> None:
    _written(tmp_path, GOOD)
    (tmp_path / "broken.yaml").write_text("kind: [", encoding="utf-8")
    faults = check_rule_files(tmp_path, CONTRACTS)
    assert [fault.file.name for fault in faults] == ["broken.yaml"]


def test_the_shipped_files_are_plain_yaml() -> None:
    for file in (INCLUDE / "expectations").glob("*.yaml"):
        assert yaml.safe_load(file.read_text(encoding="utf-8"))["rules"]
