"""The rhythm calculator: on which days an order is due, and which period a day belongs to.

Pure functions on a `Schedule` and calendar days (docs/domain.md, "Rhythms"). Days are Berlin dates, so a
change of the clocks never meets them. All rhythms but the daily one count from `valid_from`: weekly ones keep its
weekday, monthly ones its day of the month, set back to the month's last day where it is missing, without drifting
(31.01., 28.02., 31.03.).
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import count
from typing import Literal

from reku.catalogue.calendar import STATES, bank_working_day_from, bank_working_day_until

_ONE_DAY = timedelta(days=1)


class Rhythm(StrEnum):
    """How often an order runs: values of `Ausfuehrungsrhythmus`."""

    EINMALIG = "EINMALIG"
    TAEGLICH = "TAEGLICH"
    WOECHENTLICH = "WOECHENTLICH"
    ZWEIWOECHENTLICH = "ZWEIWOECHENTLICH"
    MONATLICH = "MONATLICH"
    QUARTALSWEISE = "QUARTALSWEISE"
    HALBJAEHRLICH = "HALBJAEHRLICH"
    JAEHRLICH = "JAEHRLICH"

    @property
    def longest_period(self) -> int:
        """Days from one due date to the next at most, holidays aside; a single delivery is taken to cover a year."""
        return _WEEKS.get(self, 0) * 7 or _MONTHS.get(self, 0) * 31 or (1 if self is Rhythm.TAEGLICH else 366)


_WEEKS = {Rhythm.WOECHENTLICH: 1, Rhythm.ZWEIWOECHENTLICH: 2}
_MONTHS = {Rhythm.MONATLICH: 1, Rhythm.QUARTALSWEISE: 3, Rhythm.HALBJAEHRLICH: 6, Rhythm.JAEHRLICH: 12}


@dataclass(frozen=True)
class Schedule:
    """The rhythm of one order and the calendar of its bank.

    `valid_until` is the last day, None = open end. `state` is the bank's German state. `daily_on` says on which days a
    daily order runs. `due_on_holiday` says what becomes of another rhythm's due date that is no bank working day (a
    weekend counts as well); the one date of EINMALIG is never moved, because the bank has named it itself.

    Raises ValueError for an unknown rhythm or state, and for an end before the beginning.
    """

    rhythm: Rhythm
    valid_from: date
    valid_until: date | None
    state: str
    daily_on: Literal["all_days", "bank_working_days"] = "all_days"
    due_on_holiday: Literal["next_bank_working_day", "keep"] = "next_bank_working_day"

    def __post_init__(self) -> None:
        if self.rhythm not in tuple(Rhythm):
            raise ValueError(f"{self.rhythm!r} is no rhythm; valid: {', '.join(Rhythm)}")
        object.__setattr__(self, "rhythm", Rhythm(self.rhythm))  # the database hands over its text
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise ValueError(f"valid_until {self.valid_until} is before valid_from {self.valid_from}")
        if self.state not in STATES:
            raise ValueError(f"{self.state!r} is no German state; valid: {', '.join(STATES)}")


@dataclass(frozen=True)
class Period:
    """From one due date (`start`, in it) up to the next (`end`, not in it).

    The last period of an order ends after its `valid_until`; `date.max` where nothing ends it.
    """

    start: date
    end: date

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end


@lru_cache(10_000)
def is_due(schedule: Schedule, day: date) -> bool:
    """Whether the order is due on this day."""
    return _last_due(schedule, day) == day


def period(schedule: Schedule, day: date) -> Period | None:
    """The period that a day belongs to.

    None before the first due date (which a holiday may move behind `valid_from`) and after `valid_until`.
    """
    start = _last_due(schedule, day)
    if start is None:
        return None
    end = _next_due(schedule, day)
    if end is None:
        end = schedule.valid_until + _ONE_DAY if schedule.valid_until else date.max
    return Period(start, end)


def due_dates(schedule: Schedule, first: date, last: date) -> list[date]:
    """All due dates from `first` to `last`, both included, in order."""
    dates: list[date] = []
    due = first if is_due(schedule, first) else _next_due(schedule, first)
    while due is not None and due <= last:
        dates.append(due)
        due = _next_due(schedule, due)
    return dates


def _last_due(schedule: Schedule, day: date) -> date | None:
    """The newest due date not after `day`; None if there was none or the order has ended before `day`."""
    if day < schedule.valid_from or (schedule.valid_until and day > schedule.valid_until):
        return None
    if schedule.rhythm is Rhythm.TAEGLICH:
        due = day if schedule.daily_on == "all_days" else bank_working_day_until(day, schedule.state)
        return due if due >= schedule.valid_from else None
    for number in range(_number_at(schedule, day), -1, -1):
        due = _due_date(schedule, number)
        if due <= day:
            return due
    return None


def _next_due(schedule: Schedule, day: date) -> date | None:
    """The first due date after `day`; None if there is none any more."""
    if schedule.rhythm is Rhythm.TAEGLICH:
        due = max(day + _ONE_DAY, schedule.valid_from)
        if schedule.daily_on == "bank_working_days":
            due = bank_working_day_from(due, schedule.state)
    else:
        due = next((due for due in _due_dates_around(schedule, day) if due > day), date.max)
    if due == date.max or (schedule.valid_until and due > schedule.valid_until):
        return None
    return due


def _due_dates_around(schedule: Schedule, day: date) -> Iterator[date]:
    """Due dates of a counted rhythm in order, from the one whose unmoved date is the newest not after `day`."""
    if schedule.rhythm is Rhythm.EINMALIG:
        yield schedule.valid_from
        return
    for number in count(max(_number_at(schedule, day), 0)):
        yield _due_date(schedule, number)


def _due_date(schedule: Schedule, number: int) -> date:
    """The due date with this number (0 = `valid_from`), moved off a holiday where the schedule says so.

    Moving keeps the order and never joins two due dates: no run of days without a bank working day is a week long.
    """
    unmoved = _unmoved(schedule, number)
    if schedule.due_on_holiday == "keep" or schedule.rhythm is Rhythm.EINMALIG:
        return unmoved
    return bank_working_day_from(unmoved, schedule.state)


def _unmoved(schedule: Schedule, number: int) -> date:
    if schedule.rhythm is Rhythm.EINMALIG:
        return schedule.valid_from
    if weeks := _WEEKS.get(schedule.rhythm):
        return schedule.valid_from + timedelta(weeks=weeks * number)
    return _months_after(schedule.valid_from, _MONTHS[schedule.rhythm] * number)


def _number_at(schedule: Schedule, day: date) -> int:
    """The number of the newest unmoved date not after `day`; negative before `valid_from`."""
    start = schedule.valid_from
    if schedule.rhythm is Rhythm.EINMALIG:
        return 0 if day >= start else -1
    if weeks := _WEEKS.get(schedule.rhythm):
        return (day - start).days // (7 * weeks)
    months = (day.year - start.year) * 12 + day.month - start.month
    number = months // _MONTHS[schedule.rhythm]
    return number if number < 0 or _unmoved(schedule, number) <= day else number - 1


def _months_after(day: date, months: int) -> date:
    """The same day of the month some months later, or that month's last day where it is missing."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
