"""Rules of occasions: each has rows that pass and rows that break it alone, and sound deliveries break none."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue import media, occasions
from reku.catalogue.rhythm import Rhythm
from reku.foundation.clock import berlin
from reku.foundation.settings import INCLUDE
from reku.foundation.yaml_source import read_plain
from reku.gate.checks import DayAroundDelivery
from reku.gate.predicates import verdicts
from reku.gate.rule_files import DELIVERIES, load_occasion_rules, rules_for
from reku.gate.rules import Rule, Severity
from reku.gate.suite import Expected, find_breaches
from reku.records import contracts, read
from reku.simulator.build import build
from reku.simulator.core_bank import content
from reku.simulator.world import BANK_2, ExpectedOutcome, PlannedDelivery, good_first_day
from reku.store.tables import rejects
from reku_testing import banks, world
from reku_testing.by_blz import validate

EXAMPLES: Mapping[str, Any] = read_plain(Path(__file__).with_name("occasion_rows.yaml"))
EXPECTED = Expected(
    institute=world.BLZ,
    order_number=world.ORDER,
    occasion="MCAG002",
    media=frozenset(),
    must_choose=False,
    day=date(2026, 11, 22),
    covers=1,
)
GOOD = {"Anlass_Wert": "", "Produkt_Text": "Musterprodukt"}


@dataclass(frozen=True)
class Case:
    """A row for an occasion, with the Anlass_Code of the one order, and the names of the rules that it must break."""

    occasion: str
    kind: str
    changes: Mapping[str, str]
    broken: frozenset[str]

    def fields(self, number: int) -> dict[str, str]:
        if self.kind == "REKU":
            return world.reku_fields(number, **GOOD | self.changes)
        changes = {name: value for name, value in (GOOD | self.changes).items() if name != "Anlass_Wert"}
        row = world.iamw_fields(number, order=world.ORDER, Anlass_Code="MCAG002", Anlass_Datum="24.11.2026")
        return row | {"Firma": "", "Produkt_Text": ""} | changes


def _cases(kind: str) -> Iterator[Case]:
    for code in occasions():
        file, examples = load_occasion_rules(INCLUDE, code), EXAMPLES[code]
        assert file is not None
        good = examples.get("good", {})
        for rule in file.rules:
            if kind in rule.kinds:
                example = examples[rule.name]
                broken = frozenset([rule.name, *example.get("together_with", ())])
                yield from (Case(code, kind, good | changes, frozenset()) for changes in example["passes"])
                yield from (Case(code, kind, good | changes, broken) for changes in example["fails"])


def _broken(kind: str, cases: Sequence[Case]) -> list[set[str]]:
    """The names of the rules that each case breaks, of its kind and its occasion; all cases are judged at once."""
    shared = rules_for(contracts()[kind], "")
    rules = [("", rule.name, rule) for rule in shared]
    for code in dict.fromkeys(case.occasion for case in cases):
        for rule in rules_for(contracts()[kind], code)[len(shared) :]:
            rules.append((code, rule.name, rule.model_copy(update={"name": f"{code} {rule.name}"})))
    rows = [case.fields(number) for number, case in enumerate(cases, start=1)]
    columns = tuple(rows[0])
    assert all(tuple(row) == columns for row in rows)
    cells = [list(row.values()) for row in rows]
    findings = find_breaches(columns, cells, range(len(rows)), [rule for _, _, rule in rules], EXPECTED)
    broken: list[set[str]] = [set() for _ in cases]
    for (code, name, _), finding in zip(rules, findings, strict=True):
        for line in finding.lines:
            if code in ("", cases[line].occasion):
                broken[line].add(name)
    return broken


@pytest.mark.gx
@pytest.mark.parametrize("kind", DELIVERIES)
def test_every_rule_passes_and_breaks_as_its_examples_say(kind: str) -> None:
    cases = list(_cases(kind))
    assert len(cases) > 200
    wrong = []
    for several in _in_lots(cases, 200):  # pandas warns of more than a hundred columns, and each rule may add one
        for case, broken in zip(several, _broken(kind, several), strict=True):
            if broken != case.broken:
                told = f"breaks {sorted(broken)}, not {sorted(case.broken)}"
                wrong.append((case.occasion, dict(case.changes), told))
    assert wrong == []


def _in_lots(cases: Sequence[Case], size: int) -> Iterator[Sequence[Case]]:
    """The cases in lots of about this size, those of an occasion in one lot."""
    lot: list[Case] = []
    for case in cases:
        if len(lot) >= size and case.occasion != lot[-1].occasion:
            yield lot
            lot = []
        lot.append(case)
    yield lot


def test_every_standard_occasion_has_a_file_and_every_rule_has_both_examples() -> None:
    assert len(occasions()) == 56
    for code in occasions():
        file = load_occasion_rules(INCLUDE, code)
        assert file is not None, code
        assert file.rules or file.none, code
        assert set(EXAMPLES.get(code, {})) - {"good"} == {rule.name for rule in file.rules}, code
        for rule in file.rules:
            assert EXAMPLES[code][rule.name]["passes"], (code, rule.name)
            assert EXAMPLES[code][rule.name]["fails"], (code, rule.name)
    assert set(EXAMPLES) <= set(occasions())


def test_an_empty_optional_field_keeps_nobody_out() -> None:
    for code in occasions():
        for kind in DELIVERIES:
            contract = contracts()[kind]
            optional = {column.name for column in contract.columns if column.obligation == "O"}
            for rule in rules_for(contract, code):
                if rule.field in optional and rule.check.kind == "required":
                    assert rule.severity is Severity.WARN, (code, rule.name)


def test_advice_names_no_field_that_the_sender_lacks() -> None:
    """The advice of a rule for both kinds must make sense to the sender of either."""
    fields = {kind: {column.name for column in contracts()[kind].columns} for kind in DELIVERIES}
    for code in occasions():
        for kind in DELIVERIES:
            for rule in rules_for(contracts()[kind], code):
                others = set().union(*fields.values()) - fields[kind]
                assert not [field for field in others if field in rule.advice], (code, rule.name)


@pytest.mark.gx
@pytest.mark.parametrize(
    "name", ["reku_99950001_R0004711_000017_20261122021500.csv", "iamw_99950001_I0000815_000003_20261122022000.csv"]
)
def test_the_published_examples_break_no_rule(name: str) -> None:
    kind = name[:4].upper()
    data = (Path(__file__).parents[1] / "records" / "examples" / name).read_bytes()
    code = "MCAG002" if kind == "REKU" else "MCAC120"
    expected = replace(EXPECTED, occasion=code, order_number=name.split("_")[2], media=frozenset(media()))
    assert _of_file(kind, data, code, expected, name) == {}


@pytest.mark.gx
def test_the_demo_world_breaks_the_rules_that_it_means_to_break() -> None:
    """Every row that the demo knows as rejected is, for its one reason, and no other row is."""
    world_of_demo = build(1, good_first_day(date(2026, 11, 2), ("NW", "BY"))).of_banks(BANK_2)
    rejected = 0
    for delivery in world_of_demo.deliveries:
        expected = Expected(
            institute=delivery.order.institute,
            order_number=delivery.order.number,
            occasion=delivery.order.occasion,
            media=frozenset(media()),
            must_choose=len(delivery.order.contents) > 1,
            day=berlin(delivery.created_at).date(),
            covers=Rhythm(delivery.order.rhythm).longest_period,
        )
        found = _of_file(delivery.order.kind, _unpacked(delivery), delivery.order.occasion, expected)
        for line, row in enumerate(delivery.rows, start=3):
            kept_out = [rule for rule in found.get(line, ()) if rule.severity is not Severity.WARN]
            assert [rule.code.value for rule in kept_out] == (
                [row.reason] if row.outcome is ExpectedOutcome.REJECTED else []
            )
            rejected += bool(kept_out)
    assert rejected == 5


@pytest.fixture
def bank(database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> sa.Engine:
    """A database, and one bank set up: `world.BLZ`."""
    banks.configure(monkeypatch, tmp_path / "config")
    return database


def test_the_gate_keeps_out_what_the_occasion_of_the_order_does_not_allow(bank: sa.Engine) -> None:
    order = world.order(bank, occasion="MCAG008")
    rows = [world.reku_fields(n, Anlass_Code="MCAG008", Anlass_Wert="18") for n in range(1, 41)]
    rows.append(world.reku_fields(41, Anlass_Code="MCAG008", Anlass_Wert="17"))
    result = validate(bank, world.delivery_file(bank, order, rows))
    assert (result.accepted, result.rejected, result.refused) == (40, 1, False)
    with bank.connect() as connection:
        (reject,) = connection.execute(sa.select(rejects)).all()
    assert (reject.line, reject.field, reject.code) == (43, "Anlass_Wert", "WERT")
    assert "18" in reject.advice


@pytest.mark.parametrize(
    ("rhythm", "falls_on", "is_good"),
    [
        ("TAEGLICH", "24.01.2027", True),
        ("TAEGLICH", "25.01.2027", False),
        ("WOECHENTLICH", "25.01.2027", True),
        ("MONATLICH", "24.03.2027", False),
        ("JAEHRLICH", "21.11.2027", True),
        ("EINMALIG", "21.11.2027", True),
        ("JAEHRLICH", "24.11.1976", False),
    ],
)
def test_how_far_ahead_an_occasion_may_lie_hangs_on_the_rhythm(rhythm: str, falls_on: str, is_good: bool) -> None:
    (rule,) = (rule for rule in rules_for(contracts()["REKU"], "MCAG002") if isinstance(rule.check, DayAroundDelivery))
    expected = replace(EXPECTED, covers=Rhythm(rhythm).longest_period)
    assert list(verdicts(rule, expected, [falls_on])) == [is_good]


@pytest.mark.parametrize(("rhythm", "is_good"), [("TAEGLICH", False), ("WOECHENTLICH", True)])
def test_the_gate_knows_the_rhythm_of_the_order(bank: sa.Engine, rhythm: str, is_good: bool) -> None:
    rows = [world.reku_fields(n) for n in range(1, 41)]
    rows.append(world.reku_fields(41, Anlass_Datum="25.01.2027"))
    result = validate(bank, world.delivery_file(bank, world.order(bank, rhythm=rhythm), rows))
    assert (result.accepted, result.refused) == (40 + is_good, False)


def _unpacked(delivery: PlannedDelivery) -> bytes:
    data = content(delivery)
    return gzip.decompress(data) if delivery.packed else data


def _of_file(kind: str, data: bytes, code: str, expected: Expected, name: str | None = None) -> dict[int, list[Rule]]:
    """The broken rules by line."""
    file = read(contracts()[kind], data, environment="T", file_name=name)
    broken: dict[int, list[Rule]] = {}
    for finding in find_breaches(file.columns, file.rows, file.lines, rules_for(contracts()[kind], code), expected):
        for line in finding.lines:
            broken.setdefault(line, []).append(finding.rule)
    return broken
