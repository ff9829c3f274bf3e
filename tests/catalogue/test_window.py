"""When a mail is due, by table and by property, the nights of both clock changes included."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.catalogue.window import DueWindow, anniversary, due_window
from reku.foundation import clock

NINE = time(9, 0)
WEEKDAYS = frozenset(range(5))


@pytest.mark.parametrize(
    ("occasion_date", "window", "play_out", "weekdays", "now", "due_at", "last_day"),
    [
        pytest.param(
            date(2026, 11, 24), (0, 3), NINE, None, clock.at(date(2026, 11, 22), 3),
            datetime(2026, 11, 24, 8, 0, tzinfo=UTC), date(2026, 11, 27),
            id="birthday delivered ahead: on the day itself",
        ),
        pytest.param(
            date(2026, 11, 24), (0, 3), NINE, None, clock.at(date(2026, 11, 24), 14),
            datetime(2026, 11, 24, 8, 0, tzinfo=UTC), date(2026, 11, 27),
            id="play-out time just missed: at once",
        ),
        pytest.param(
            date(2026, 11, 24), (0, 3), NINE, None, clock.at(date(2026, 11, 26), 3),
            datetime(2026, 11, 26, 8, 0, tzinfo=UTC), date(2026, 11, 27),
            id="two days late: today",
        ),
        pytest.param(
            date(2026, 11, 24), (0, 3), NINE, None, clock.at(date(2026, 11, 28), 3),
            datetime(2026, 11, 27, 8, 0, tzinfo=UTC), date(2026, 11, 27),
            id="window past: expired",
        ),
        pytest.param(
            date(2026, 12, 31), (-60, 0), NINE, None, clock.at(date(2026, 11, 23), 3),
            datetime(2026, 11, 23, 8, 0, tzinfo=UTC), date(2026, 12, 31),
            id="maturity: from today on",
        ),
        pytest.param(
            date(2026, 11, 21), (0, 3), NINE, WEEKDAYS, clock.at(date(2026, 11, 20), 3),
            datetime(2026, 11, 23, 8, 0, tzinfo=UTC), date(2026, 11, 24),
            id="birthday on a Saturday, weekdays only",
        ),
        pytest.param(
            date(2026, 11, 18), (0, 3), NINE, WEEKDAYS, clock.at(date(2026, 11, 21), 3),
            datetime(2026, 11, 20, 8, 0, tzinfo=UTC), date(2026, 11, 20),
            id="only a Saturday is left: expired",
        ),
        pytest.param(
            date(2026, 11, 21), (0, 1), NINE, WEEKDAYS, clock.at(date(2026, 11, 18), 3),
            datetime(2026, 11, 21, 8, 0, tzinfo=UTC), date(2026, 11, 20),
            id="no permitted day at all: expired when due",
        ),
        pytest.param(
            date(2026, 3, 29), (0, 0), NINE, None, clock.at(date(2026, 3, 28), 3),
            datetime(2026, 3, 29, 7, 0, tzinfo=UTC), date(2026, 3, 29),
            id="summer time begins that night",
        ),
        pytest.param(
            date(2026, 3, 29), (0, 0), time(2, 30), None, clock.at(date(2026, 3, 28), 3),
            datetime(2026, 3, 29, 1, 30, tzinfo=UTC), date(2026, 3, 29),
            id="play-out time that does not exist: as if before the change",
        ),
        pytest.param(
            date(2026, 10, 25), (0, 0), NINE, None, clock.at(date(2026, 10, 24), 3),
            datetime(2026, 10, 25, 8, 0, tzinfo=UTC), date(2026, 10, 25),
            id="summer time ends that night",
        ),
        pytest.param(
            date(2026, 10, 25), (0, 0), time(2, 30), None, clock.at(date(2026, 10, 24), 3),
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC), date(2026, 10, 25),
            id="play-out time that comes twice: the first",
        ),
    ],
)  # fmt: skip
def test_due_window(
    occasion_date: date,
    window: tuple[int, int],
    play_out: time,
    weekdays: frozenset[int] | None,
    now: datetime,
    due_at: datetime,
    last_day: date,
) -> None:
    assert due_window(occasion_date, *window, play_out, weekdays, now) == DueWindow(due_at, last_day)


@given(
    occasion_date=st.dates(date(2024, 1, 10), date(2030, 12, 20)),
    first=st.integers(-60, 5),
    length=st.integers(0, 30),
    play_out=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    weekdays=st.none() | st.frozensets(st.integers(0, 6)),
    offset=st.integers(-80 * 24, 80 * 24),
)
def test_a_mail_is_due_inside_its_window_or_expired(
    occasion_date: date, first: int, length: int, play_out: time, weekdays: frozenset[int] | None, offset: int
) -> None:
    now = clock.at(occasion_date) + timedelta(hours=offset)
    today = clock.berlin(now).date()
    opens, closes = occasion_date + timedelta(days=first), occasion_date + timedelta(days=first + length)
    left = [
        day
        for day in (opens + timedelta(days=step) for step in range(length + 1))
        if day >= today and (weekdays is None or day.weekday() in weekdays)
    ]
    found = due_window(occasion_date, first, first + length, play_out, weekdays, now)
    seen_at = max(now, found.due_at)
    if left:
        assert found.due_at == clock.at(left[0], play_out.hour, play_out.minute)
        assert found.last_day == left[-1]
        assert clock.berlin(seen_at).date() <= found.last_day
    else:
        assert clock.berlin(seen_at).date() > found.last_day
    assert found.last_day <= closes


@pytest.mark.parametrize(
    ("born", "year", "expected"),
    [
        (date(1976, 11, 24), 2026, date(2026, 11, 24)),
        (date(1976, 2, 29), 2026, date(2026, 3, 1)),
        (date(1976, 2, 29), 2028, date(2028, 2, 29)),
        (date(1976, 2, 29), 2100, date(2100, 3, 1)),
    ],
)
def test_anniversary(born: date, year: int, expected: date) -> None:
    assert anniversary(born, year) == expected
