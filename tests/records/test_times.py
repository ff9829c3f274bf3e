"""Dates and moments of files: Berlin wall clock, both clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.records import format_date, format_moment, parse_date, parse_moment


@given(st.dates(date(1000, 1, 1)))
def test_dates_round_trip(day: date) -> None:
    assert parse_date(format_date(day)) == day


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.11.2026",
        "01.11.26",
        "2026-11-01",
        "31.11.2026",
        "29.02.2027",
        "00.01.2026",
        "01.01.0000",
        "01.11.2026 ",
        " 01.11.2026",
        "01.11.2026\n",
        "٠١.11.2026",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_date(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("22.11.2026 02:15:00", datetime(2026, 11, 22, 1, 15, tzinfo=UTC)),
        ("22.07.2026 02:15:00", datetime(2026, 7, 22, 0, 15, tzinfo=UTC)),
        ("25.10.2026 02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # comes twice: the first is meant
        ("29.03.2026 02:30:00", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # left out: winter time went on
    ],
)
def test_moments_are_berlin_time(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment


@given(st.integers(631_152_000, 4_102_444_800))
def test_a_written_moment_reads_as_itself_or_an_hour_earlier_where_the_hour_comes_twice(second: int) -> None:
    moment = datetime.fromtimestamp(second, UTC)
    text = format_moment(moment)
    assert format_moment(parse_moment(text)) == text
    assert (moment - parse_moment(text)).total_seconds() in (0, 3600)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "22.11.2026",
        "22.11.2026 24:00:00",
        "22.11.2026 02:60:00",
        "22.11.2026 2:15:00",
        "22.11.2026T02:15:00",
        "22.11.2026 02:15:00 ",
        "31.11.2026 00:00:00",
        "01.01.0001 00:00:00",
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_moment(text)


def test_a_moment_without_a_zone_is_not_written() -> None:
    with pytest.raises(ValueError, match="time zone"):
        format_moment(datetime(2026, 11, 22))  # noqa: DTZ001 -- that is the point
