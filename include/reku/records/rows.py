"""What is wrong with single rows of a file, as its contract alone can tell. Pure functions.

Nothing here refuses anything: intake takes a control file whole or not at all, the gate rejects rows of deliveries.
"""

from __future__ import annotations

from reku.records.column_rules import column_rules
from reku.records.contract import Contract
from reku.records.faults import Fault
from reku.records.predicates import verdicts
from reku.records.record_file import RecordFile

_LONGEST_REFERENCE = 40
"""Characters of a Referenz in a receipt; a longer one is a fault of its own."""


def row_faults(contract: Contract, file: RecordFile) -> list[Fault]:
    """The first fault of each field of each row, in the order of lines and then of columns; empty if all are good.

    The advice names the field and says what would be right, and repeats no value: it may be personal.
    """
    place = {name: index for index, name in enumerate(file.columns)}
    values = {column.name: _values(file, place.get(column.name)) for column in contract.columns}
    references = values.get(contract.roles.get("reference", ""), [""] * len(file.rows))
    faults: dict[tuple[int, str], Fault] = {}
    for rule in column_rules(contract):
        for index, holds in enumerate(verdicts(rule.check, file.head, *(values[name] for name in rule.fields))):
            if not holds and (index, rule.field) not in faults:
                faults[index, rule.field] = Fault(
                    rule.code,
                    file.lines[index],
                    rule.field,
                    f"{rule.field}: {rule.advice}",
                    references[index][:_LONGEST_REFERENCE],
                )
    return [faults[key] for key in sorted(faults, key=lambda key: key[0])]


def _values(file: RecordFile, at: int | None) -> list[str]:
    """A column's values, blank ones and those of a column that is not there as ""."""
    if at is None:
        return [""] * len(file.rows)
    return [row[at] if row[at].strip() else "" for row in file.rows]
