"""Rows kept by column, as Arrow arrays: a million of them take little more room than their file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_AT_ONCE = 10_000
"""Rows that are turned into Python's own values at a time."""


class Columns(Sequence[list[str]]):
    """Rows of a file, column by column. As a sequence it gives each row as a list of its values.

    pyarrow takes a while to import, so only who has such rows imports it.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @classmethod
    def of(cls, rows: Sequence[Sequence[str]], width: int) -> Columns:
        """The same rows of `width` values each, kept by column."""
        if isinstance(rows, Columns):
            return rows
        import pyarrow as pa

        values: Iterable[Sequence[str]] = zip(*rows, strict=True) if rows else [()] * width
        return cls(pa.table([pa.array(column, pa.string()) for column in values], [str(n) for n in range(width)]))

    @classmethod
    def joined(cls, several: Sequence[Columns]) -> Columns:
        """The rows of all of them, one after the other."""
        import pyarrow as pa

        return cls(pa.concat_tables([one._table for one in several]))

    def column(self, place: int) -> pa.ChunkedArray:
        """The values of the column at this place, counted from 0."""
        return self._table.column(place)

    def texts(self, place: int) -> list[str]:
        """The values of that column as Python's own."""
        texts: list[str] = self.column(place).to_pylist()
        return texts

    def take(self, which: NDArray[np.int64]) -> Columns:
        """The rows with these numbers, counted from 0, in this order."""
        return Columns(self._table.take(which))

    def piece(self, start: int, length: int) -> Columns:
        """So many rows from `start` on, without copying them."""
        return Columns(self._table.slice(start, length))

    def __len__(self) -> int:
        count: int = self._table.num_rows
        return count

    @overload
    def __getitem__(self, index: int) -> list[str]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[str]]: ...
    def __getitem__(self, index: int | slice) -> list[str] | list[list[str]]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        return [column[index].as_py() for column in self._table.columns]

    def __iter__(self) -> Iterator[list[str]]:
        for start in range(0, len(self), _AT_ONCE):
            columns = self._table.slice(start, _AT_ONCE).columns
            yield from map(list, zip(*(column.to_pylist() for column in columns), strict=True))
