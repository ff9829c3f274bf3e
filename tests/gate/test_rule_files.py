"""Rule files: rules are data alone, and every fault is told with its file, its line and what would be right."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reku.foundation.errors import ConfigError
from reku.foundation.settings import INCLUDE, settings
from reku.gate.rule_files import (
    check_occasion_rules,
    check_rule_files,
    load_occasion_rules,
    load_rule_files,
    occasion_rule_file,
    rules_for,
)
from reku.gate.rules import Severity, contract_rules
from reku.records import contracts

CONTRACTS = INCLUDE / "contracts"
OF_KIND = """\
kind: REKU
rules:
  - name: age_given
    field: Anlass_Wert
    check: {kind: required}
    severity: warn
    code: PFLICHTFELD
    advice: Alter angeben
"""
OF_OCCASION = """\
rules:
  - name: age_is_plain
    field: Anlass_Wert
    kinds: [REKU]
    check: {kind: pattern, regex: '[1-9][0-9]*'}
    severity: reject
    code: FORMAT
    advice: nur die Zahl der Jahre angeben
  - name: age_is_round
    field: Anlass_Wert
    kinds: [REKU]
    check: {kind: in_steps, first: 10, step: 10, last: 120}
    severity: reject
    code: WERT
    advice: ein rundes Alter angeben
"""
NONE = "none: Wer in diesem Anlass geliefert wird, hat kein Feld, das falsch sein kann.\n"
OWN = "HAUS01"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with one standard occasion and one of a bank's own; only the standard one has rules."""
    folder = tmp_path / "config"
    shutil.copytree(CONTRACTS, folder / "contracts")
    (folder / "occasions").mkdir()
    standard = (INCLUDE / "occasions" / "MCAG002.yaml").read_text(encoding="utf-8")
    (folder / "occasions" / "MCAG002.yaml").write_text(standard, encoding="utf-8")
    own = standard.replace("MCAG002", OWN)
    (folder / "occasions" / f"{OWN}.yaml").write_text(own, encoding="utf-8")
    occasion_rule_file(folder, OWN).parent.mkdir(parents=True)
    for name in ("reku.yaml", "iamw.yaml"):
        shutil.copy(INCLUDE / "expectations" / name, folder / "expectations")
    _write(folder, OF_OCCASION)
    return folder


def _write(config: Path, text: str, occasion: str = "MCAG002") -> Path:
    file = occasion_rule_file(config, occasion)
    file.write_text(text, encoding="utf-8")
    load_occasion_rules.cache_clear()
    return file


def _of_kind(folder: Path, text: str) -> Path:
    file = folder / "own.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_shipped_rule_files_are_sound_and_used() -> None:
    assert check_rule_files(INCLUDE / "expectations", CONTRACTS) == []
    assert check_occasion_rules(INCLUDE) == []
    for kind, occasion, name in (("REKU", "MCAG008", "age_is_18"), ("IAMW", "MCAG008", "person_is_no_firm")):
        contract = contracts()[kind]
        rules = rules_for(contract, occasion)
        names = [rule.name for rule in rules]
        assert len(names) == len(set(names))
        assert names.index("occasion_of_order") < names.index(name)
        own = contract_rules(contract)
        assert rules[: len(own)] == own


def test_an_occasion_has_its_rules_and_no_others() -> None:
    names = {rule.name for rule in rules_for(contracts()["REKU"], "MCAG008")}
    assert "age_is_18" in names
    assert not names & {"age_is_round", "product_named", "valid_beyond_occasion"}
    assert "age_is_18" not in {rule.name for rule in rules_for(contracts()["IAMW"], "MCAG008")}


def test_a_rule_of_a_kind_is_data_alone(tmp_path: Path) -> None:
    _of_kind(tmp_path, OF_KIND)
    (rule,) = load_rule_files(tmp_path, CONTRACTS)["REKU"]
    assert (rule.name, rule.field, rule.severity) == ("age_given", "Anlass_Wert", Severity.WARN)


def test_a_rule_of_an_occasion_is_data_alone(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(config, OF_OCCASION, OWN)
    monkeypatch.setenv("REKU_CONFIG_DIR", str(config))
    settings.cache_clear()
    assert check_occasion_rules(config) == []
    assert [rule.name for rule in rules_for(contracts()["REKU"], OWN)][-2:] == ["age_is_plain", "age_is_round"]
    assert rules_for(contracts()["IAMW"], OWN) == rules_for(contracts()["IAMW"], "")


def test_a_bank_s_own_occasion_needs_no_rules_and_a_standard_one_may_say_why_it_has_none(config: Path) -> None:
    assert check_occasion_rules(config) == []
    assert load_occasion_rules(config, OWN) is None
    _write(config, NONE)
    assert check_occasion_rules(config) == []
    file = load_occasion_rules(config, "MCAG002")
    assert file is not None
    assert (file.rules, file.none) == ((), NONE.partition(": ")[2].strip())


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("kind: REKU", "kind: REKUU", 1, "Did you mean 'REKU'"),
        ("field: Anlass_Wert", "field: Anlas_Wert", 4, "Did you mean 'Anlass_Wert'"),
        ("{kind: required}", "{kind: requird}", 5, "Did you mean 'required'"),
        ("severity: warn", "severity: warning", 6, "Did you mean 'warn'"),
        ("code: PFLICHTFELD", "code: PFLICHT", 7, "PFLICHTFELD"),
        ("    advice: Alter angeben\n", "", 3, "advice"),
        ("    severity: warn", "    severty: warn", 6, "Did you mean 'severity'"),
        ("{kind: required}", "{kind: pattern, regex: '['}", 5, "regular expression"),
        ("{kind: required}", "{kind: required, when: {Alter: ['1']}}", 4, "Alter"),
        ("name: age_given", "name: Referenz.required.1", 3, "twice"),
        ("rules:", "rules: [", 3, "YAML"),
    ],
)
def test_a_fault_in_the_rules_of_a_kind_is_told(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    file = _of_kind(tmp_path, OF_KIND.replace(old, new, 1))
    fault, *_ = check_rule_files(tmp_path, CONTRACTS)
    assert fault.file == file
    assert fault.line is not None
    assert abs(fault.line - line) <= 1
    assert said in str(fault)
    with pytest.raises(ConfigError):
        load_rule_files(tmp_path, CONTRACTS)


STEPS = "{kind: in_steps, first: 10, step: 10, last: 120}"
BROKEN = [
    # what is replaced, by what, line, what is said
    ("field: Anlass_Wert", "field: Anlas_Wert", 3, "Did you mean 'Anlass_Wert'"),
    ("field: Anlass_Wert", "field: Gueltig_bis", 3, "REKU does not have"),
    ("    kinds: [REKU]\n", "", 3, "IAMW does not have. Limit it: `kinds: [REKU]`"),
    ("kinds: [REKU]", "kinds: [REKU, IAMW]", 3, "Limit it: `kinds: [REKU]`"),
    ("kinds: [REKU]", "kinds: [REKUU]", 4, "Did you mean 'REKU'"),
    ("kinds: [REKU]", "kinds: [VREKU]", 4, "Valid: REKU, IAMW"),
    ("kinds: [REKU]", "kinds: []", 4, "must not be empty"),
    ("kinds: [REKU]", "kinds: REKU", 4, "must be a list"),
    ("kinds: [REKU]", "kind: [REKU]", 4, "Did you mean 'kinds'"),
    ("name: age_is_round", "name: age_is_plain", 9, "twice"),
    ("name: age_is_round", "name: person_once", 9, "twice"),
    ("name: age_is_round", "name: Referenz.required.1", 9, "twice"),
    ("name: age_is_round", 'name: ""', 9, "must not be empty"),
    (STEPS, "{kind: in_stepps, first: 10, step: 10, last: 120}", 12, "Did you mean 'in_steps'"),
    (STEPS, "{first: 10, step: 10, last: 120}", 12, "the key 'kind' is missing"),
    (STEPS, "{kind: in_steps, first: 10, step: 10, last: 115}", 12, "steps of 10 from 10 on do not reach 115"),
    (STEPS, "{kind: in_steps, first: 120, step: 10, last: 10}", 12, "do not reach 10"),
    (STEPS, "{kind: in_steps, first: 10, step: ten, last: 120}", 12, "must be a whole number"),
    (STEPS, "{kind: in_steps, first: 10, stepp: 10, last: 120}", 12, "Did you mean 'step'"),
    (STEPS, "{kind: day_around_delivery, before: -1, after: 3}", 12, "greater than or equal to 0"),
    (STEPS, "{kind: day_around_delivery, before: 1}", 12, "'after' is missing"),
    (STEPS, "{kind: without, regex: '('}", 12, "regular expression"),
    (STEPS, "{kind: without}", 12, "'regex' is missing"),
    (STEPS, "{kind: required, when: {Anrde: ['4']}}", 10, "Did you mean 'Anrede'"),
    (STEPS, "{kind: not_before, other: Gueltig_ab}", 10, "'Gueltig_ab', which REKU does not have"),
    ("severity: reject", "severity: rejekt", 6, "Did you mean 'reject'"),
    ("severity: reject", "severity: fatal", 6, "Valid: refuse, reject, warn"),
    ("code: WERT", "code: WERTE", 14, "Did you mean 'WERT'"),
    ("    code: WERT\n", "", 9, "'code' is missing"),
    ("advice: ein rundes Alter angeben", f"advice: {'lang ' * 33}", 15, "at most 160"),
    ("advice: ein rundes Alter angeben", "advice:", 15, "advice"),
    ("rules:", f"{NONE}rules:", 1, "Keep one of them"),
    (OF_OCCASION, "none:\n", 1, "give the reason"),
    (OF_OCCASION, "none: ' '\n", 1, "give the reason"),
    (OF_OCCASION, "rules: []\n", 1, "has no rules"),
    (OF_OCCASION, "rules:\n", 1, "must be a list"),
    (OF_OCCASION, "", None, "The file is empty"),
    ("rules:", "rulez:", 1, "Did you mean 'rules'"),
    ("rules:", "occasion: MCAG002\nrules:", 1, "'occasion' is not known"),
    ("rules:", "rules: [", 2, "YAML"),
]


@pytest.mark.parametrize(("old", "new", "line", "said"), BROKEN)
def test_a_fault_in_the_rules_of_an_occasion_is_told(
    config: Path, old: str, new: str, line: int | None, said: str
) -> None:
    assert old in OF_OCCASION
    file = _write(config, OF_OCCASION.replace(old, new, 1))
    faults = check_occasion_rules(config)
    assert len(faults) == 1
    assert (faults[0].file, faults[0].line) == (file, line)
    assert said in str(faults[0])
    with pytest.raises(ConfigError) as raised:
        load_occasion_rules(config, "MCAG002")
    assert str(raised.value) == str(faults[0])


def test_a_missing_and_an_unknown_file_are_told(config: Path) -> None:
    file = occasion_rule_file(config, "MCAG002")
    file.rename(file.with_stem("MCAG0002"))
    unknown, missing = check_occasion_rules(config)
    assert (unknown.file.name, unknown.value, unknown.suggestion) == ("MCAG0002.yaml", "MCAG0002", "MCAG002")
    assert missing.file == file
    assert "none:" in str(missing)


def test_one_broken_file_leaves_the_others_readable(config: Path, tmp_path: Path) -> None:
    _of_kind(tmp_path, OF_KIND)
    (tmp_path / "broken.yaml").write_text("kind: [", encoding="utf-8")
    faults = check_rule_files(tmp_path, CONTRACTS)
    assert [fault.file.name for fault in faults] == ["broken.yaml"]
    _write(config, "rules: [", OWN)
    assert load_occasion_rules(config, "MCAG002") is not None
    assert [fault.file.stem for fault in check_occasion_rules(config)] == [OWN]
