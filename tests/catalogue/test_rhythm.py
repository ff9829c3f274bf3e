"""The rhythm calculator: each rhythm by table, its laws by property."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.catalogue.calendar import STATES, is_bank_working_day
from reku.catalogue.rhythm import Period, Rhythm, Schedule, due_dates, is_due, period

R = Rhythm
DAY = timedelta(days=1)


def dates(text: str) -> list[date]:
    return [date.fromisoformat(word) for word in text.split()]


@pytest.mark.parametrize(
    ("schedule", "last", "expected"),
    [
        pytest.param(
            Schedule(R.EINMALIG, date(2026, 11, 22), None, "NW"), "2027-12-31", "2026-11-22", id="once, on a Sunday"
        ),
        pytest.param(
            Schedule(R.TAEGLICH, date(2026, 12, 23), None, "NW"),
            "2026-12-27",
            "2026-12-23 2026-12-24 2026-12-25 2026-12-26 2026-12-27",
            id="daily",
        ),
        pytest.param(
            Schedule(R.TAEGLICH, date(2026, 12, 23), None, "NW", daily_on="bank_working_days"),
            "2027-01-04",
            "2026-12-23 2026-12-28 2026-12-29 2026-12-30 2027-01-04",
            id="on bank working days",
        ),
        pytest.param(
            Schedule(R.TAEGLICH, date(2026, 6, 3), None, "NW", daily_on="bank_working_days"),
            "2026-06-08",
            "2026-06-03 2026-06-05 2026-06-08",
            id="on bank working days, Fronleichnam in NW",
        ),
        pytest.param(
            Schedule(R.TAEGLICH, date(2026, 6, 3), None, "BE", daily_on="bank_working_days"),
            "2026-06-08",
            "2026-06-03 2026-06-04 2026-06-05 2026-06-08",
            id="on bank working days, no Fronleichnam in BE",
        ),
        pytest.param(
            Schedule(R.WOECHENTLICH, date(2026, 5, 28), None, "NW"),
            "2026-06-18",
            "2026-05-28 2026-06-05 2026-06-11 2026-06-18",
            id="weekly, moved off Fronleichnam in NW",
        ),
        pytest.param(
            Schedule(R.WOECHENTLICH, date(2026, 5, 28), None, "BE"),
            "2026-06-18",
            "2026-05-28 2026-06-04 2026-06-11 2026-06-18",
            id="weekly, not moved in BE",
        ),
        pytest.param(
            Schedule(R.WOECHENTLICH, date(2026, 5, 28), None, "NW", due_on_holiday="keep"),
            "2026-06-11",
            "2026-05-28 2026-06-04 2026-06-11",
            id="weekly, kept on the holiday",
        ),
        pytest.param(
            Schedule(R.ZWEIWOECHENTLICH, date(2026, 12, 10), date(2027, 1, 20), "BE"),
            "2027-12-31",
            "2026-12-10 2026-12-28 2027-01-07",
            id="two-weekly over Christmas, up to its end",
        ),
        pytest.param(
            Schedule(R.MONATLICH, date(2027, 1, 31), None, "BE", due_on_holiday="keep"),
            "2027-06-30",
            "2027-01-31 2027-02-28 2027-03-31 2027-04-30 2027-05-31 2027-06-30",
            id="monthly on the 31st does not drift",
        ),
        pytest.param(
            Schedule(R.MONATLICH, date(2027, 1, 31), None, "BE"),
            "2027-05-03",
            "2027-02-01 2027-03-01 2027-03-31 2027-04-30",
            id="monthly, weekends moved into the next month",
        ),
        pytest.param(
            Schedule(R.QUARTALSWEISE, date(2026, 11, 30), None, "BE", due_on_holiday="keep"),
            "2027-11-30",
            "2026-11-30 2027-02-28 2027-05-30 2027-08-30 2027-11-30",
            id="quarterly",
        ),
        pytest.param(
            Schedule(R.HALBJAEHRLICH, date(2026, 8, 31), None, "BE", due_on_holiday="keep"),
            "2027-08-31",
            "2026-08-31 2027-02-28 2027-08-31",
            id="half-yearly",
        ),
        pytest.param(
            Schedule(R.JAEHRLICH, date(2024, 2, 29), None, "BE", due_on_holiday="keep"),
            "2028-12-31",
            "2024-02-29 2025-02-28 2026-02-28 2027-02-28 2028-02-29",
            id="yearly from a leap day",
        ),
        pytest.param(
            Schedule(R.WOECHENTLICH, date(2026, 12, 24), date(2026, 12, 26), "BE"),
            "2027-12-31",
            "",
            id="moved behind its end: never due",
        ),
    ],
)
def test_due_dates(schedule: Schedule, last: str, expected: str) -> None:
    assert due_dates(schedule, schedule.valid_from - 30 * DAY, date.fromisoformat(last)) == dates(expected)


def test_a_period_reaches_up_to_the_next_due_date() -> None:
    weekly = Schedule(R.WOECHENTLICH, date(2026, 11, 23), None, "NW")
    assert period(weekly, date(2026, 11, 29)) == Period(date(2026, 11, 23), date(2026, 11, 30))
    assert period(weekly, date(2026, 11, 30)) == Period(date(2026, 11, 30), date(2026, 12, 7))
    assert period(weekly, date(2026, 11, 22)) is None


def test_the_last_period_ends_with_the_order() -> None:
    monthly = Schedule(R.MONATLICH, date(2026, 11, 2), date(2026, 12, 10), "NW")
    assert period(monthly, date(2026, 12, 10)) == Period(date(2026, 12, 2), date(2026, 12, 11))
    assert period(monthly, date(2026, 12, 11)) is None


def test_a_single_order_without_an_end_has_one_endless_period() -> None:
    once = Schedule(R.EINMALIG, date(2026, 11, 22), None, "NW")
    assert period(once, date(2031, 1, 1)) == Period(date(2026, 11, 22), date.max)


def test_days_before_a_moved_first_due_date_have_no_period() -> None:
    weekly = Schedule(R.WOECHENTLICH, date(2026, 11, 21), None, "NW")  # a Saturday
    assert period(weekly, date(2026, 11, 22)) is None
    assert period(weekly, date(2026, 11, 23)) == Period(date(2026, 11, 23), date(2026, 11, 30))


def test_a_rhythm_may_be_given_as_its_text() -> None:
    daily = Schedule("TAEGLICH", date(2026, 11, 24), None, "NW")  # type: ignore[arg-type]  # as a database row gives it
    assert daily.rhythm is R.TAEGLICH
    assert is_due(daily, date(2026, 11, 25))


@pytest.mark.parametrize("changed", [{"valid_until": date(2026, 1, 1)}, {"state": "XX"}, {"rhythm": "STUENDLICH"}])
def test_a_schedule_that_cannot_be_is_refused(changed: dict[str, object]) -> None:
    given_values: dict[str, object] = {
        "rhythm": R.TAEGLICH,
        "valid_from": date(2026, 11, 1),
        "valid_until": None,
        "state": "NW",
    }
    with pytest.raises(ValueError, match=r"valid_until|German state|no rhythm"):
        Schedule(**(given_values | changed))  # type: ignore[arg-type]  # a table of wrong values


days = st.dates(date(2024, 1, 1), date(2032, 12, 31))


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    start = draw(days)
    length = draw(st.none() | st.integers(0, 1200))
    return Schedule(
        rhythm=draw(st.sampled_from(Rhythm)),
        valid_from=start,
        valid_until=None if length is None else start + length * DAY,
        state=draw(st.sampled_from(STATES)),
        daily_on=draw(st.sampled_from(["all_days", "bank_working_days"])),
        due_on_holiday=draw(st.sampled_from(["next_bank_working_day", "keep"])),
    )


@given(schedules(), st.integers(-10, 900))
def test_periods_tile_the_time_from_the_first_due_date_to_the_end(schedule: Schedule, offset: int) -> None:
    for day in (schedule.valid_from + (offset + step) * DAY for step in range(40)):
        here = period(schedule, day)
        if here is None:
            ended = schedule.valid_until is not None and day > schedule.valid_until
            assert ended or due_dates(schedule, schedule.valid_from, day) == []
            continue
        assert day in here
        assert is_due(schedule, here.start)
        assert is_due(schedule, day) == (here.start == day)
        assert period(schedule, here.start) == here
        following = period(schedule, here.end) if here.end < date.max else None
        assert following is None or following.start == here.end
        if following is None and here.end < date.max:
            assert schedule.valid_until is not None
            assert here.end == schedule.valid_until + DAY


@given(schedules(), days, st.integers(0, 400))
def test_due_dates_are_ordered_unique_and_exactly_the_due_days(schedule: Schedule, first: date, length: int) -> None:
    last = first + length * DAY
    found = due_dates(schedule, first, last)
    assert found == sorted(set(found))
    assert found == [day for day in (first + step * DAY for step in range(length + 1)) if is_due(schedule, day)]


@given(schedules())
def test_moved_due_dates_are_bank_working_days(schedule: Schedule) -> None:
    moved = schedule.due_on_holiday == "next_bank_working_day" and schedule.rhythm not in (R.TAEGLICH, R.EINMALIG)
    on_working_days = schedule.rhythm is R.TAEGLICH and schedule.daily_on == "bank_working_days"
    for due in due_dates(schedule, schedule.valid_from, schedule.valid_from + 100 * DAY):
        assert is_bank_working_day(due, schedule.state) or not (moved or on_working_days)


@given(
    st.dates(date(2024, 1, 1), date(2027, 12, 31)),
    st.sampled_from([R.MONATLICH, R.QUARTALSWEISE, R.HALBJAEHRLICH, R.JAEHRLICH]),
)
def test_months_never_drift(start: date, rhythm: Rhythm) -> None:
    schedule = Schedule(rhythm, start, None, "BE", due_on_holiday="keep")
    for due in due_dates(schedule, start, start + 1500 * DAY):
        last_of_month = (due + DAY).month != due.month
        assert due.day == start.day or (due.day < start.day and last_of_month)


@pytest.mark.parametrize("rhythm", [rhythm for rhythm in Rhythm if rhythm is not Rhythm.EINMALIG])
def test_no_period_is_longer_than_the_rhythm_says(rhythm: Rhythm) -> None:
    schedule = Schedule(rhythm, date(2026, 1, 31), None, "NW", due_on_holiday="keep")
    due = due_dates(schedule, date(2026, 1, 31), date(2032, 1, 31))
    longest = max((later - earlier).days for earlier, later in pairwise(due))
    assert longest <= rhythm.longest_period <= longest * 1.02 + 2


def test_a_single_delivery_may_cover_a_year() -> None:
    assert Rhythm.EINMALIG.longest_period == 366
