"""Berlin's days in statements: the same answer as the calendar's, around midnight, in summer, winter and between."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from reku.foundation import clock
from reku.foundation.settings import INCLUDE
from reku.store.due import due_bounds, due_by, on_day

DAYS = st.dates(date(2025, 1, 1), date(2030, 12, 31))


@given(
    day=DAYS,
    only=st.none() | st.integers(-2, 2),
    hours=st.integers(-72, 72),
    offset=st.sampled_from((timedelta(), timedelta(microseconds=-1), timedelta(minutes=30))),
)
def test_bounds_are_those_of_the_calendar(day: date, only: int | None, hours: int, offset: timedelta) -> None:
    exactly = None if only is None else day + timedelta(days=only)
    moment = clock.at(day) + timedelta(hours=hours) + offset
    begin, end = due_bounds(day, exactly)
    lies_on = clock.berlin(moment).date()
    assert (begin <= moment < end) == (lies_on == exactly if exactly else lies_on <= day)


def test_a_database_in_any_zone_sees_the_same_days(database: sa.Engine) -> None:
    night = date(2026, 10, 25)  # an hour comes twice
    moments = [datetime(2026, 10, 24, 21, 30, tzinfo=UTC) + timedelta(hours=hours) for hours in range(28)]
    column = sa.values(sa.column("at", sa.DateTime(timezone=True)), name="moments").data([(one,) for one in moments])
    wanted = {
        due_by: [one for one in moments if clock.berlin(one).date() <= night],
        on_day: [one for one in moments if clock.berlin(one).date() == night],
    }
    with database.connect() as connection:
        connection.execute(sa.text("SET LOCAL TIME ZONE 'Pacific/Kiritimati'"))
        for asked, expected in wanted.items():
            assert list(connection.scalars(sa.select(column.c.at).where(asked(column.c.at, night)))) == expected
    assert len(wanted[on_day]) == 25


def test_no_other_statement_converts_to_berlin_time() -> None:
    """But for what compares days with each other (`rivals`, `impulses`), and formats, which write a moment down."""
    code = {file.relative_to(INCLUDE / "reku").as_posix(): file for file in (INCLUDE / "reku").rglob("*.py")}
    converting = re.compile(r"func\.timezone\(|timezone\('")
    found = {name for name, file in code.items() if converting.search(file.read_text(encoding="utf-8"))}
    assert {name for name in found if not name.startswith("reporting/formats/")} == {
        "contact/rivals.py",
        "sources/agree21/impulses.py",
    }
