"""The index of a letter run: on which pages of the PDF whose letter stands (contract BRIEF)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reku.records.contract import contracts
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


def index_file(head: Head, rows: Iterable[IndexRow]) -> bytes:
    """The index as a file, its rows in the order of the letters.

    Raises FileRefused, naming line and field, for what the contract does not allow.
    """
    values = (
        (
            str(row.first_page),
            str(row.last_page),
            row.reference,
            row.person_number,
            row.name,
            row.street,
            row.postcode,
            row.place,
        )
        for row in rows
    )
    return write(contracts()[KIND], head, COLUMNS, values)
