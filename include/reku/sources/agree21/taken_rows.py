"""The rows of a file that are taken, by column: each different value is made into ours once, however many rows have it.

Importing this module takes a while, as that of all large files does.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from reku.records import Contract, RecordFile
from reku.records.columns import Columns
from reku.records.distinct import Field

AT_ONCE = 50_000
"""Rows that are worked on at a time, so that a file of any size takes bounded memory."""


class TakenRows:
    """Some rows of a file, with the columns of its contract. A blank value counts as empty, as it does in the gate."""

    def __init__(self, contract: Contract, columns: Sequence[str], rows: Columns) -> None:
        self._contract, self._columns, self._rows = contract, columns, rows

    @classmethod
    def of(cls, file: RecordFile, kept_out: Container[int]) -> TakenRows:
        """The rows of a file without those of the lines that are kept out."""
        rows = Columns.of(file.rows, len(file.columns))
        taken = np.fromiter((line not in kept_out for line in file.lines), bool, len(rows))
        return cls(file.contract, file.columns, rows if taken.all() else rows.take(np.flatnonzero(taken)))

    def __len__(self) -> int:
        return len(self._rows)

    def pieces(self) -> Iterator[TakenRows]:
        """The rows in their order, so many at a time."""
        for start in range(0, len(self), AT_ONCE):
            yield TakenRows(self._contract, self._columns, self._rows.piece(start, AT_ONCE))

    def households(self) -> Iterator[TakenRows]:
        """All rows, so many at a time, those of a person and of a household together: a piece may be larger for it.

        Who is of which household is said by `Haushalt_ID`, if all rows of the person agree about it.
        """
        group = self._group_of_each()
        order = np.argsort(group, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(group[order])) + 1, len(self))
        wanted = np.minimum(np.arange(AT_ONCE, len(self) + AT_ONCE, AT_ONCE), len(self))
        begun = 0
        for end in np.unique(ends[np.searchsorted(ends, wanted)]).tolist():
            yield TakenRows(self._contract, self._columns, self._rows.take(order[begun:end]))
            begun = end

    def _group_of_each(self) -> NDArray[np.int64]:
        """A number for the household of each row, or for its person alone."""
        persons, households = self._field("Personennummer"), self._field("Haushalt_ID")
        first = np.zeros(len(persons.different), np.int64)
        first[persons.codes] = households.codes
        disagrees = np.zeros(len(first), bool)
        disagrees[persons.codes[first[persons.codes] != households.codes]] = True
        alone = disagrees[persons.codes] | households.blank[households.codes]
        return np.where(alone, len(households.different) + persons.codes.astype(np.int64), households.codes)

    def each(self, name: str, make: Callable[[str], object], kind: pa.DataType) -> pa.Array:
        """What `make` makes of the column's value in each row, as an array of this kind; an empty value stays null."""
        field = self._field(name)
        made = pa.array([make(value) if value else None for value in field.values], kind)
        return made.take(pa.array(field.codes))

    def as_dicts(self) -> Iterator[dict[str, str]]:
        """Each row as column name → value, for exactly the contract's columns; what is missing holds their default."""
        names = [column.name for column in self._contract.columns]
        spread = []
        for column in self._contract.columns:
            field = self._field(column.name)
            values = [value or column.default for value in field.values]
            spread.append([values[code] for code in field.codes.tolist()])
        return (dict(zip(names, row, strict=True)) for row in zip(*spread, strict=True))

    def _field(self, name: str) -> Field:
        if name not in self._columns:
            return Field.empty(len(self))
        return Field.of(self._rows.column(self._columns.index(name)))
