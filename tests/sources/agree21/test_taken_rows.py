"""Rows taken by column, piece by piece: the same people as of all rows at once."""

from __future__ import annotations

from datetime import UTC, date, datetime
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.records import Head, RecordFile, contracts, parse_date
from reku.sources.agree21 import taken_rows
from reku.sources.agree21.customers import Customer, customers_of
from reku.sources.agree21.taken_rows import TakenRows
from tests.sources.agree21.conftest import person

_HEAD = Head("IDA_KUNDEN", "1", "99950001", "", "0", datetime(2026, 11, 22, tzinfo=UTC), "AGREE21", "MF", "T")
_ROWS = st.lists(
    st.builds(
        lambda number, household, contact: person(number, Haushalt_ID=household, Ansprechperson=contact),
        st.integers(1, 12),
        st.sampled_from(["", " ", "H1", "H2", "H3"]),
        st.sampled_from("JN"),
    ),
    max_size=30,
)


def _file(rows: list[dict[str, str]], without: tuple[str, ...] = ()) -> RecordFile:
    contract = contracts()["IDA_KUNDEN"]
    columns = tuple(column.name for column in contract.columns if column.name not in without)
    cells = [[row.get(name, "") for name in columns] for row in rows]
    return RecordFile(contract, _HEAD, columns, cells, range(3, 3 + len(rows)))


def _by_number(people: tuple[Customer, ...]) -> list[Customer]:
    return sorted(people, key=lambda customer: customer.number)


@given(rows=_ROWS, at_once=st.integers(1, 6), kept_out=st.sets(st.integers(3, 32), max_size=5))
def test_a_person_and_a_household_come_in_one_piece(
    rows: list[dict[str, str]], at_once: int, kept_out: set[int]
) -> None:
    taken = TakenRows.of(_file(rows), kept_out)
    whole = customers_of(taken.as_dicts())
    with patch.object(taken_rows, "AT_ONCE", at_once):
        pieces = [list(piece.as_dicts()) for piece in taken.households()]
        assert [row for piece in taken.pieces() for row in piece.as_dicts()] == list(taken.as_dicts())
    assert all(pieces)
    assert (
        sum(map(len, pieces)) == len(taken) == len([line for line in range(3, 3 + len(rows)) if line not in kept_out])
    )
    made = [customers_of(piece) for piece in pieces]
    assert _by_number(tuple(one for customers in made for one in customers.people)) == _by_number(whole.people)
    assert sum(customers.unclear_households for customers in made) == whole.unclear_households


def test_many_rows_come_in_many_pieces() -> None:
    """What the property above could not tell from one piece of all."""
    taken = TakenRows.of(_file([person(number, Haushalt_ID=f"H{number // 2}") for number in range(100)]), ())
    with patch.object(taken_rows, "AT_ONCE", 7):
        assert [len(piece) for piece in taken.households()] == [8, 6, 8, 6, 8, 6, 8, 6, 8, 6, 8, 6, 8, 6, 2]


@pytest.mark.parametrize("value", ["", " ", "\xa0"])
def test_a_blank_value_counts_as_empty(value: str) -> None:
    taken = TakenRows.of(_file([person(1, Geburtsdatum=value, Einwilligung_EMail=value)]), ())
    (row,) = taken.as_dicts()
    assert (row["Geburtsdatum"], row["Einwilligung_EMail"]) == ("", "N")
    assert taken.each("Geburtsdatum", parse_date, pa.date32()).to_pylist() == [None]
    assert customers_of([row]).people[0].born is None


def test_a_column_that_is_not_there_holds_its_default() -> None:
    taken = TakenRows.of(_file([person(1, Geburtsdatum="14.02.1976")], without=("PLZ", "Nachlass_KZ")), ())
    (row,) = taken.as_dicts()
    assert (row["PLZ"], row["Nachlass_KZ"]) == ("", "N")
    assert taken.each("PLZ", str, pa.string()).to_pylist() == [None]
    assert taken.each("Geburtsdatum", parse_date, pa.date32()).to_pylist() == [date(1976, 2, 14)]
