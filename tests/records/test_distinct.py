"""Judging each different value once gives what judging row by row gives."""

from __future__ import annotations

import math
import sys
from functools import partial

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from reku.foundation.addresses import is_valid
from reku.records import checks
from reku.records.checks import Check
from reku.records.distinct import WHITESPACE, Field, holds, pieces
from reku.records.predicates import verdicts

_VALUES = st.sampled_from(
    ["", " ", "\u2003", "\xa0\t", "a", "A", " a", "a\n", "aä€", "a@b.example", "٢", "22.11.2026", "4"]
)
_ROWS = st.lists(st.tuples(_VALUES, _VALUES, _VALUES), min_size=1, max_size=40)


def _holding(check: Check, fields: list[Field]) -> list[bool]:
    found: list[bool] = holds(partial(verdicts, check, None), fields).tolist()
    return found


def _fields(rows: list[tuple[str, str, str]]) -> list[Field]:
    return [
        Field.of(pa.chunked_array([list(column)[:3], list(column)[3:]], pa.string()))
        for column in zip(*rows, strict=True)
    ]


def test_white_space_is_that_of_python() -> None:
    assert set(WHITESPACE) == {chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()}


@given(_ROWS)
def test_what_is_known_of_a_column_is_known_row_by_row(rows: list[tuple[str, str, str]]) -> None:
    field, *_ = _fields(rows)
    values = [row[0] if row[0].strip() else None for row in rows]
    assert [None if math.isnan(length) else int(length) for length in field.lengths] == [
        None if value is None else len(value) for value in values
    ]
    assert [value if isinstance(value, str) else None for value in field.categories] == values
    assert field.filled_rows == sum(value is not None for value in values)
    assert field.rows == len(rows)
    earlier: set[str] = set()
    found = []
    for value in values:
        found.append(value in earlier)
        earlier |= {value} if value else set()
    parts = [part for _, part in pieces(("f", "g", "h"), rows, ["f", "missing"], 7)]
    assert [repeated for part in parts for repeated in part.repeats("f").tolist()] == found
    assert not any(part.repeats("missing").any() for part in parts)


@given(_ROWS)
def test_a_check_holds_for_the_rows_it_holds_for_one_by_one(rows: list[tuple[str, str, str]]) -> None:
    cells = [tuple("" if not value.strip() else value for value in row) for row in rows]
    fields = _fields(rows)
    found = _holding(checks.Address(), fields[:1])
    assert found == [not row[0] or is_valid(row[0]) for row in cells]
    found = _holding(checks.Pattern(regex="[a-z]|A"), fields[:1])
    assert found == [row[0] in ("", "a", "A") for row in cells]
    found = _holding(checks.Pattern(regex=r"\d"), fields[:1])
    assert found == [row[0] in ("", "٢", "4") for row in cells]
    found = _holding(checks.Required(), fields[:1])
    assert found == [row[0] != "" for row in cells]


_FEW = st.sampled_from(["", " ", "a", "b", "c"])


@given(st.lists(st.tuples(_FEW, _FEW, _FEW), min_size=10, max_size=40))
def test_a_check_of_several_fields_holds_for_each_combination_of_values(rows: list[tuple[str, str, str]]) -> None:
    found = _holding(checks.Required(when={"g": ("a", "b"), "h": ("c",)}), _fields(rows))
    assert found == [bool(f.strip()) or not (g in ("a", "b") and h == "c") for f, g, h in rows]


def test_a_field_that_the_file_does_not_have_is_empty_everywhere() -> None:
    field = Field.empty(3)
    assert (field.rows, field.filled_rows, field.values) == (3, 0, [""])
    assert all(math.isnan(length) for length in field.lengths)
