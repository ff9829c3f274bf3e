"""Damaged texts: each rule finds its own (damaged_texts.yaml), none a sound name, and whoever releases sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from reku.foundation.settings import INCLUDE
from reku.foundation.yaml_source import load_all
from reku.gate.rule_files import SharedRuleFile, check_rule_files, load_rule_files
from reku.records import checks, predicates
from reku.release.decision import decide_release
from reku.release.question import body, in_short
from reku.store.tables import rejects
from reku_testing import banks, world
from reku_testing.by_blz import validate

TABLE: dict[str, list[str]] = yaml.safe_load((Path(__file__).parent / "damaged_texts.yaml").read_text(encoding="utf-8"))
FILE = INCLUDE / "expectations" / "deliveries" / "damaged_text.yaml"


def _checks() -> Iterator[tuple[str, checks.Check]]:
    file, faults = load_all(FILE, SharedRuleFile)
    assert file is not None
    assert faults == []
    for rule in file.rules:
        assert isinstance(rule.check, checks.Without)
        yield rule.name, rule.check


CHECKS = dict(_checks())


def found_by(text: str) -> set[str]:
    return {name for name, check in CHECKS.items() if not next(iter(predicates.verdicts(check, None, [text])))}


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule in CHECKS for text in TABLE[rule]])
def test_what_is_damaged_is_found_by_its_rule(rule: str, text: str) -> None:
    assert rule in found_by(text)


@pytest.mark.parametrize("text", TABLE["sound"])
def test_a_sound_name_passes_all(text: str) -> None:
    assert found_by(text) == set()


@pytest.mark.parametrize("written_in", ["latin-1", "cp1252", "iso-8859-15", "cp850", "cp437", "mac-roman"])
def test_every_umlaut_is_found_whatever_it_was_confused_with(written_in: str) -> None:
    """UTF-8 read as anything else: each of these letters, alone in a word."""
    for letter in "äöüÄÖÜßéèêáàâóòôíìîçñãõåÅæøØšŠžŽłĄąęőűčřť":
        shown = f"B{letter}e".encode().decode(written_in, "replace")
        assert "damaged" in found_by(shown), (letter, shown)


def test_the_rules_hold_for_all_kinds_of_deliveries() -> None:
    folder = INCLUDE / "expectations"
    assert check_rule_files(folder, INCLUDE / "contracts") == []
    for rules in (load_rule_files(folder, INCLUDE / "contracts")[kind] for kind in ("REKU", "IAMW")):
        assert {"damaged_Nachname", "damaged_Firma", "doubtful_Vorname", "rounded_Personennummer"} <= {
            rule.name for rule in rules
        }


# In a delivery


def _rows(*damaged: dict[str, str], sound: int) -> list[dict[str, str]]:
    every = [*damaged, *[{}] * sound]
    return [world.reku_fields(number, **changes) for number, changes in enumerate(every, 1)]


DAMAGED: list[dict[str, str]] = [
    {"Vorname": "JÃ¶rdis", "Nachname": "MÃ¼ÃŸig"},
    {"Nachname": "M\ufffd\ufffdig"},
    {"Nachname": "M&uuml;&szlig;ig"},
    {"Nachname": "{{ Nachname }}"},
    {"Vorname": "NULL", "Nachname": "#NAME?"},
    {"Nachname": "\u202egißüM"},
    {"Personennummer": "1,23E+11"},
]


def test_each_damaged_row_is_kept_out_and_told_and_the_share_is_seen_by_who_releases(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    banks.configure(monkeypatch, tmp_path / "config")
    delivery = world.delivery_file(database, world.order(database), _rows(*DAMAGED, {"Nachname": "M?ller"}, sound=292))
    result = validate(database, delivery)
    assert (result.rows, result.rejected, result.refused) == (300, 7, False)
    with database.connect() as connection:
        codes = sorted(connection.scalars(sa.select(rejects.c.code)))
    assert codes == ["BESCHAEDIGT"] * 6 + ["STEUERZEICHEN"]  # what turns text around is no character of a field either
    decision = decide_release(database, delivery)
    assert decision.decision is None
    assert "with damaged texts: 2.7%; allowed up to 1.0% (limit max_damaged)" in in_short(decision)
    assert "mit beschädigten Texten: 2,7 %" in body(decision, "https://airflow.bank.example/report", "20:00")


def test_a_doubtful_one_among_many_asks_nobody_and_is_shown(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    banks.configure(monkeypatch, tmp_path / "config")
    delivery = world.delivery_file(database, world.order(database), _rows({"Nachname": "Null"}, sound=150))
    assert validate(database, delivery).rejected == 0
    decision = decide_release(database, delivery)
    assert decision.decision is not None
    assert {metric.name: round(metric.value, 4) for metric in decision.metrics}["damaged"] == round(1 / 151, 4)
