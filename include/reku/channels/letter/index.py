"""The index of a letter run: on which pages of the PDF whose letter stands (contract BRIEF)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reku.records.column_rules import column_rules
from reku.records.contract import contracts
from reku.records.predicates import verdicts
from reku.records.record_file import Head
from reku.records.writer import write

KIND = "BRIEF"
COLUMNS = ("Seite_von", "Seite_bis", "Referenz", "Personennummer", "Name", "Strasse", "PLZ", "Ort")


@dataclass(frozen=True)
class IndexRow:
    """A letter of the index. `person_number` is clear, so rows are made while somebody fetches them, and not kept."""

    first_page: int
    last_page: int
    reference: str
    person_number: str
    name: str
    street: str
    postcode: str
    place: str


def index_faults(rows: Iterable[IndexRow]) -> dict[int, str]:
    """Rows that the contract does not allow, by their place from 0: which field, and what would be right.

    Their pages are not looked at.
    """
    values = list(_values(rows))
    columns = {name: [row[place] for row in values] for place, name in enumerate(COLUMNS)}
    found: dict[int, str] = {}
    for rule in column_rules(contracts()[KIND]):
        for place, holds in enumerate(verdicts(rule.check, None, *(columns[name] for name in rule.fields))):
            if not holds:
                found.setdefault(place, f"The index of the letters cannot name the person: {rule.field}, {rule.advice}")
    return found


def index_file(head: Head, rows: Iterable[IndexRow]) -> bytes:
    """The index as a file, its rows in the order of the letters.

    Raises FileRefused, naming line and field, for what the contract does not allow.
    """
    return write(contracts()[KIND], head, COLUMNS, _values(rows))


def _values(rows: Iterable[IndexRow]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        pages = str(row.first_page), str(row.last_page)
        yield (*pages, row.reference, row.person_number, row.name, row.street, row.postcode, row.place)
