"""Receipts (`quittung_…`, domain.md 9.15): what became of a file, for its sender, in German and without people.

Rows and time stamp of a receipt stand in `files` before anything is written, so it can be written again, byte for byte.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from reku import clock
from reku.errors import StageError
from reku.intake import folders as places
from reku.intake.folders import Folders
from reku.records import Fault, Head, contracts, match_name, write
from reku.settings import settings
from reku.store.tables import DeliveryState, deliveries, files, rejects

logger = logging.getLogger(__name__)

KIND = "QUITTUNG"
LONGEST_ADVICE = 200
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


def receipt_name(file_name: str) -> str:
    """The name of a file's receipt."""
    return f"quittung_{file_name}"


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
        receiver="FI",
        environment=settings().environment,
    )
    columns = tuple(column.name for column in contract.columns)
    rows = [[Line(**stored).cells()[column] for column in columns] for stored in file.receipt]
    return write(contract, head, columns, rows)


def receipt_for_rejects(engine: sa.Engine, delivery_id: int) -> str | None:
    """Write the receipt of what the gate found in a delivery: its rows in `rejects`, and whether all was refused.

    Call it after the gate's transaction, on every pass: written again it comes out byte-identical. A crash between
    fixing and writing is repaired by the next intake scan. Returns the path below the files URL, or None where no row
    was rejected. Raises StageError for an unknown delivery, OSError if the storage fails.
    """
    with engine.begin() as connection:
        delivery = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).first()
        if delivery is None:
            raise StageError(f"There is no delivery {delivery_id}. `reku deliveries list` lists those that are known.")
        file = connection.execute(
            sa.select(files).where(files.c.id == delivery.file_id).with_for_update(key_share=True)
        ).one()
        receipt = [line.stored() for line in _gate_lines(connection, delivery)]
        if not receipt:
            return None
        if file.receipt != receipt:
            connection.execute(
                sa.update(files)
                .where(files.c.id == file.id)
                .values(
                    receipt=receipt,
                    receipt_at=clock.now(),
                    moving_from=sa.func.coalesce(files.c.moving_from, files.c.stored_as),
                )
            )
    folders = Folders(delivery.institute)
    path = folders.path(places.OUTBOX, receipt_name(file.file_name))
    with engine.begin() as connection:
        file = connection.execute(
            sa.select(files).where(files.c.id == delivery.file_id).with_for_update(key_share=True)
        ).one()
        folders.write(path, receipt_bytes(file))
        # Only the note of this receipt is cleared; a move that is still to come stays noted.
        connection.execute(
            sa.update(files)
            .where(files.c.id == file.id, files.c.moving_from == files.c.stored_as)
            .values(moving_from=None)
        )
    logger.info(
        "institute %s: receipt for %d rejected rows of delivery %d", delivery.institute, len(receipt), delivery_id
    )
    return path


def _gate_lines(connection: sa.Connection, delivery: sa.Row[Any]) -> list[Line]:
    found = connection.execute(
        sa.select(rejects).where(rejects.c.delivery_id == delivery.id).order_by(rejects.c.line, rejects.c.id)
    ).all()
    lines = [Line(Status.ABGELEHNT, row.code, row.advice, row.field, row.line, row.reference) for row in found]
    if delivery.state == DeliveryState.REFUSED:
        return [Line(Status.ABGELEHNT, delivery.code or "FEHLERQUOTE", delivery.advice), *lines]
    if not lines:
        return []
    advice = f"{len(lines)} von {delivery.rows} Zeilen abgelehnt, die übrigen sind angenommen"
    return [Line(Status.OK_MIT_WARNUNG, lines[0].code, advice), *lines]
