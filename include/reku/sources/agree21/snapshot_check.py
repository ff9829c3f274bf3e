"""Whether a snapshot may be believed: an empty, cut or hollow one would erase people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reku.records import Fault, FaultCode, RecordFile
from reku.records.columns import Columns

_WAS_FILLED = 0.5
"""Share of rows from which on a column counts as filled in the snapshot before."""
_MANY = 20
"""Rows of a delta from which on an empty column is no chance."""
_ACCEPT = "Datei prüfen; stimmt sie, gibt der Betrieb sie frei (reku agree21 accept)"


@dataclass(frozen=True)
class Earlier:
    """The snapshot before: its rows, and in how many of them each column was filled."""

    rows: int
    filled: Mapping[str, int]


def filled_columns(file: RecordFile) -> dict[str, int]:
    """In how many rows each column of the contract is filled."""
    from reku.records.distinct import Field

    rows = Columns.of(file.rows, len(file.columns))
    place = {name: number for number, name in enumerate(file.columns)}
    return {
        column.name: Field.of(rows.column(place[column.name])).filled_rows if column.name in place else 0
        for column in file.contract.columns
    }


def snapshot_fault(rows: int, filled: Mapping[str, int], earlier: Earlier | None, max_shrink: float) -> Fault | None:
    """Why a snapshot must be accepted by a person first; None if it need not be."""
    if rows == 0:
        return Fault(FaultCode.SCHRUMPFUNG, advice=f"Der Bestand ist leer und würde alles löschen. {_ACCEPT}")
    if earlier is None:
        return None
    if rows < earlier.rows * (1 - max_shrink):
        advice = f"{rows} Zeilen, zuvor {earlier.rows}: Der Bestand ist um mehr als {max_shrink:.0%} kleiner. {_ACCEPT}"
        return Fault(FaultCode.SCHRUMPFUNG, advice=advice)
    return _emptied(filled, earlier)


def lost_column(file: RecordFile, filled: Mapping[str, int], earlier: Earlier | None) -> Fault | None:
    """Why a delta must be accepted by a person first: it would empty a column of its people; None if it need not be.

    In a small one a column may be empty by chance, as long as it is there.
    """
    if earlier is None:
        return None
    few = len(file.rows) < _MANY
    present = {name: 1 if few and name in file.columns else number for name, number in filled.items()}
    return _emptied(present, earlier)


def _emptied(filled: Mapping[str, int], earlier: Earlier) -> Fault | None:
    for name, number in earlier.filled.items():
        if earlier.rows and number / earlier.rows >= _WAS_FILLED and not filled.get(name):
            advice = f"Die Spalte {name} war zuvor gefüllt und ist jetzt leer oder fehlt. {_ACCEPT}"
            return Fault(FaultCode.SPALTE_LEER, field=name, advice=advice)
    return None
