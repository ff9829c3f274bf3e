"""Rows of every contract, filled at random: the checker in use finds what another one finds, and so does the gate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.gate.predicates import Expected
from reku.gate.rules import contract_rules
from reku.gate.suite import find_breaches
from reku.records import Fault, RecordFile, contracts, row_faults
from reku.records.columns import Columns
from reku.records.contract import Column, Contract
from tests.records import oracle_rows
from tests.records.test_rows import as_file, filled

KINDS = ("VREKU", "VIAM", "REKU", "IAMW", "RESPONSE", "QUITTUNG", "IDA_KUNDEN", "IDA_BESTAND")
ODD = (
    *("", " ", "\xa0", "x", "X", "ä", "J", "j", "N", "0", "1", "9", "10", "-1", "+1", "1,5", "007", "1" * 19, "²", "٢"),
    *("24.11.2026", "30.02.2026", "1.1.2026", "24.11.2026 10:00:00", "24.11.2026 25:00:00", "05.11.2026", "06:00"),
    *("a@b.example", "a@b", " a@b.example", "a b@c.example", "a@b.example,c@d.example", "jörg@müller.example"),
    *("99950001", "99950002", "R0004711", "I0000815", "MCAG002", "MCAC120", "Straße", "für alle", "x" * 41, "x" * 300),
)


def _cell(contract: Contract, column: Column) -> st.SearchStrategy[str]:
    """Mostly what is right, there or in a column of the same type, so that faults stand beside good values."""
    good = [column.example or column.default, column.default, *column.values]
    good += [other.example for other in contract.columns if other.type == column.type]
    return st.one_of(st.sampled_from(good), st.sampled_from(ODD), st.text(max_size=12))


def _rows(kind: str, most: int) -> st.SearchStrategy[list[dict[str, str]]]:
    contract = contracts()[kind]
    row = st.fixed_dictionaries({column.name: _cell(contract, column) for column in contract.columns})
    return st.lists(row, max_size=most)


def _by_field(faults: Iterable[Fault]) -> dict[tuple[int | None, str], set[str]]:
    found: dict[tuple[int | None, str], set[str]] = {}
    for fault in faults:
        found.setdefault((fault.line, fault.field), set()).add(fault.code)
    return found


def _blanks_emptied(file: RecordFile) -> RecordFile:
    """The oracle takes a blank for a value where a column must be empty or unique."""
    return replace(file, rows=[[cell if cell.strip() else "" for cell in row] for row in file.rows])


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_both_checkers_find_the_same_fields(kind: str, data: st.DataObject) -> None:
    contract, file = as_file(kind, *data.draw(_rows(kind, 4)))
    faults = row_faults(contract, file)
    found, wanted = _by_field(faults), _by_field(oracle_rows.row_faults(contract, _blanks_emptied(file)))
    assert found.keys() == wanted.keys()
    assert all(len(codes) == 1 and codes <= wanted[place] for place, codes in found.items())
    assert [fault.line for fault in faults] == sorted(fault.line or 0 for fault in faults)
    by_column = replace(file, rows=Columns.of(file.rows, len(file.columns)))
    assert set(row_faults(contract, by_column)) == set(faults)


@pytest.mark.gx
@pytest.mark.parametrize("kind", ["REKU", "IAMW"])
def test_the_gate_finds_the_same_as_row_by_row(kind: str) -> None:
    """A thousand rows at once, since Great Expectations takes its time for each suite."""
    contract, file = as_file(kind, *_many(kind, 1_000))
    order = Expected(
        file.head.institute, file.head.order_number, "", frozenset(), must_choose=False, day=date(2026, 11, 22)
    )
    by_gate: dict[tuple[int, str], str] = {}
    for finding in find_breaches(file.columns, file.rows, file.lines, contract_rules(contract), order):
        for line in finding.lines:
            by_gate.setdefault((line, finding.rule.field), f"{finding.rule.field}: {finding.rule.advice}")
    row_by_row = {(fault.line, fault.field): fault.advice for fault in row_faults(contract, file)}
    assert by_gate == row_by_row
    assert len(row_by_row) > 1_000


def _many(kind: str, rows: int) -> list[dict[str, str]]:
    """Rows in which every odd value stands in every column once, and more of them together."""
    names = [column.name for column in contracts()[kind].columns]
    made = []
    for number in range(rows):
        row = filled(kind, Referenz=f"{number % 700}")
        for place, name in enumerate(names):
            if (number + place) % 4 == 0:
                row[name] = ODD[(number // 4 + place) % len(ODD)]
        made.append(row)
    return made
