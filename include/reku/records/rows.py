"""What is wrong with single rows of a file, as its contract alone can tell. Pure functions.

Nothing here refuses anything: intake takes a control file whole or not at all, the gate rejects rows of deliveries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from reku.records.checks import Unique
from reku.records.column_rules import ColumnRule, column_rules
from reku.records.columns import Columns
from reku.records.contract import Contract
from reku.records.faults import Fault
from reku.records.predicates import verdicts
from reku.records.record_file import RecordFile

_AT_ONCE = 100_000
"""Rows that are judged at a time, so that a file of any size takes bounded memory."""
_LONGEST_REFERENCE = 40
"""Characters of a Referenz in a receipt; a longer one is a fault of its own."""


def row_faults(contract: Contract, file: RecordFile) -> list[Fault]:
    """The first fault of each field of each row, in the order of lines and then of columns; empty if all are good.

    The advice names the field and says what would be right, and repeats no value: it may be personal.
    """
    broken = _broken_by_column if isinstance(file.rows, Columns) else _broken_one_by_one
    faults: dict[tuple[int, str], Fault] = {}
    for rule, index in broken(column_rules(contract), file):
        if (index, rule.field) not in faults:
            faults[index, rule.field] = Fault(
                rule.code, file.lines[index], rule.field, f"{rule.field}: {rule.advice}", _reference(file, index)
            )
    return [faults[key] for key in sorted(faults, key=lambda key: key[0])]


def _broken_one_by_one(rules: Sequence[ColumnRule], file: RecordFile) -> Iterator[tuple[ColumnRule, int]]:
    """Each rule with the number of each row that breaks it."""
    place = {name: index for index, name in enumerate(file.columns)}
    values = {column.name: _values(file, place.get(column.name)) for column in file.contract.columns}
    for rule in rules:
        for index, holds in enumerate(verdicts(rule.check, file.head, *(values[name] for name in rule.fields))):
            if not holds:
                yield rule, index


def _broken_by_column(rules: Sequence[ColumnRule], file: RecordFile) -> Iterator[tuple[ColumnRule, int]]:
    """The same of many rows: each different value is judged once."""
    from reku.records.distinct import holds, pieces

    unique = [rule.field for rule in rules if isinstance(rule.check, Unique)]
    for start, piece in pieces(file.columns, file.rows, unique, _AT_ONCE):
        for rule in rules:
            if isinstance(rule.check, Unique):
                bad = piece.repeats(rule.field)
            else:
                bad = ~holds(partial(verdicts, rule.check, file.head), [piece[name] for name in rule.fields])
            yield from ((rule, start + index) for index in bad.nonzero()[0].tolist())


def _values(file: RecordFile, at: int | None) -> list[str]:
    """A column's values, blank ones and those of a column that is not there as ""."""
    if at is None:
        return [""] * len(file.rows)
    return [row[at] if row[at].strip() else "" for row in file.rows]


def _reference(file: RecordFile, index: int) -> str:
    """What the row is called in a receipt; empty if its contract has no column for that."""
    name = file.contract.roles.get("reference")
    text = file.rows[index][file.columns.index(name)] if name in file.columns else ""
    return text[:_LONGEST_REFERENCE] if text.strip() else ""
