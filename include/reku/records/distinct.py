"""Columns of a file by their different values, so that each value is looked at once, however many rows have it.

Importing this module takes a while, so only who has many rows imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reku.records.columns import Columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHITESPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
"""All characters that `str.strip` takes away."""


@dataclass(frozen=True)
class Field:
    """A column of some rows: `codes` holds for each row the place of its value in `different`, an Arrow array."""

    codes: NDArray[np.int32]
    different: Any

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Field:
        encoded = column.combine_chunks().dictionary_encode()
        return cls(encoded.indices.to_numpy(), encoded.dictionary)

    @classmethod
    def empty(cls, rows: int) -> Field:
        """A field that these rows do not have: it counts as empty."""
        return cls(np.zeros(rows, np.int32), pa.array([""], pa.string()))

    @property
    def rows(self) -> int:
        return len(self.codes)

    @cached_property
    def blank(self) -> NDArray[np.bool_]:
        """Whether each different value counts as empty."""
        trimmed = pc.utf8_trim(self.different, characters=WHITESPACE)
        is_empty: NDArray[np.bool_] = pc.equal(trimmed, "").to_numpy(zero_copy_only=False)
        return is_empty

    @cached_property
    def values(self) -> list[str]:
        """The different values; blank ones are "", so that may stand there more than once."""
        values: list[str] = self.different.to_pylist()
        for place in np.flatnonzero(self.blank):
            values[place] = ""
        return values

    @cached_property
    def filled_rows(self) -> int:
        return int(np.count_nonzero(~self.blank[self.codes]))

    @cached_property
    def lengths(self) -> NDArray[np.float64]:
        """Characters of each row's value; null where it is blank."""
        lengths = pc.utf8_length(self.different).to_numpy().astype(float)
        return np.where(self.blank, np.nan, lengths)[self.codes]

    @cached_property
    def categories(self) -> Any:
        """Each row's value as a pandas categorical; null where it is blank."""
        import pandas as pd

        places = np.where(self.blank, -1, np.arange(len(self.different)))
        return pd.Categorical.from_codes(places[self.codes], self.different.to_pylist())


class Piece:
    """Some rows of a file, field by field; a field that the file has no column for is empty in all of them."""

    def __init__(self, place: Mapping[str, int], rows: Columns, repeated: Mapping[str, NDArray[np.bool_]]) -> None:
        self._place, self._rows, self._repeated = place, rows, repeated
        self._fields: dict[str, Field] = {}

    def __getitem__(self, name: str) -> Field:
        if name not in self._fields:
            place = self._place.get(name)
            self._fields[name] = Field.empty(len(self._rows)) if place is None else Field.of(self._rows.column(place))
        return self._fields[name]

    def repeats(self, name: str) -> NDArray[np.bool_]:
        """Whether an earlier row of the file, in this piece or before, has the same value in a unique field."""
        return self._repeated.get(name, np.zeros(len(self._rows), bool))


def pieces(
    columns: Sequence[str], rows: Sequence[Sequence[str]], unique: Iterable[str], at_once: int
) -> Iterator[tuple[int, Piece]]:
    """Pieces of so many rows, each with the number of its first row; in `unique` fields repeated values are sought."""
    place = {name: number for number, name in enumerate(columns)}
    kept = Columns.of(rows, len(columns))
    repeated = {name: _repeats(kept.column(place[name])) for name in unique if name in place}
    for start in range(0, len(kept), at_once):
        yield (
            start,
            Piece(
                place,
                kept.piece(start, at_once),
                {name: marks[start : start + at_once] for name, marks in repeated.items()},
            ),
        )


def holds(verdicts: Callable[..., Iterable[bool]], fields: Sequence[Field]) -> NDArray[np.bool_]:
    """Whether something holds in each row, worked out once for each combination of values of the fields it looks at.

    `verdicts` takes as many lists of values as there are fields, and says for each place of them whether it holds.
    """
    first, *others = fields
    combined, values = first.codes.astype(np.int64), [first.values]
    if others:
        for other in others:
            _, combined = np.unique(combined * len(other.different) + other.codes, return_inverse=True)
        _, rows, combined = np.unique(combined, return_index=True, return_inverse=True)
        values = [[field.values[code] for code in field.codes[rows].tolist()] for field in fields]
    verdict = np.fromiter(verdicts(*values), bool, len(values[0]))
    return verdict[combined]


def _repeats(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Whether an earlier row of the column has the same value; a blank one repeats nothing."""
    import pandas as pd

    field = Field.of(column)
    repeated: NDArray[np.bool_] = pd.Series(field.codes).duplicated().to_numpy()
    return repeated & ~field.blank[field.codes]
