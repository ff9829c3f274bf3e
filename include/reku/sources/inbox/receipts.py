"""Receipts (`quittung_…`): what became of a file, for its sender, in German and without people.

Rows and time stamp of a receipt stand in `files` before anything is written, so it can be written again, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from reku.foundation.settings import settings
from reku.records import Fault, Head, contracts, match_name, write
from reku.records.faults import LONGEST_ADVICE

KIND = "QUITTUNG"
_MOST_LINES = 1_000
"""Faults of a refused file that stand in its receipt; a file in a wrong layout has one in every row."""


class Status(StrEnum):
    """Column `Status`."""

    OK = "OK"
    OK_MIT_WARNUNG = "OK_MIT_WARNUNG"
    GEPARKT = "GEPARKT"
    ABGELEHNT = "ABGELEHNT"
    DUBLETTE = "DUBLETTE"


@dataclass(frozen=True)
class Line:
    """One row of a receipt: about the whole file (`line` None), or about one row of it."""

    status: Status
    code: str = ""
    advice: str = ""
    field: str = ""
    line: int | None = None
    reference: str = ""

    def stored(self) -> dict[str, Any]:
        """The form kept in `files.receipt`."""
        return asdict(self)

    def cells(self) -> dict[str, str]:
        """The row by the contract's column names."""
        about_row = self.line is not None
        return {
            "Ebene": "SATZ" if about_row else "DATEI",
            "Status": self.status,
            "Zeile": str(self.line) if about_row else "",
            "Referenz": self.reference if about_row else "",
            "Feld": self.field,
            "Fehler_Code": self.code,
            "Hinweis": shorten(self.advice),
        }


def shorten(advice: str) -> str:
    """The advice as it fits into `Hinweis`."""
    return advice if len(advice) <= LONGEST_ADVICE else advice[: LONGEST_ADVICE - 2] + " …"


def refusal(faults: Iterable[Fault]) -> tuple[Line, ...]:
    """The rows for a file refused for these faults: the first one stands for the file, then each with its line."""
    listed = list(faults)[:_MOST_LINES]
    lines = [
        Line(Status.ABGELEHNT, fault.code, fault.advice, fault.field, fault.line, fault.reference) for fault in listed
    ]
    if lines and lines[0].line is not None:
        first = lines[0]
        lines.insert(0, Line(Status.ABGELEHNT, first.code, first.advice, first.field))
    return tuple(lines)


def receipt_bytes(file: sa.Row[Any]) -> bytes:
    """The receipt of a row of `files`, always the same bytes for the same row. Raises FileRefused if it breaks 9.15."""
    known = match_name(file.file_name)
    groups = known[1] if known else {}
    contract = contracts()[KIND]
    head = Head(
        kind=KIND,
        version=contract.version,
        institute=file.institute,
        order_number=groups.get("auftrag") or "",
        delivery_number=groups.get("lnr") or "0",
        created_at=file.receipt_at,
        sender="EMMA",
        receiver=known[0].partner if known else "FI",
        environment=settings().environment,
    )
    columns = tuple(column.name for column in contract.columns)
    rows = [[Line(**stored).cells()[column] for column in columns] for stored in file.receipt]
    return write(contract, head, columns, rows)
