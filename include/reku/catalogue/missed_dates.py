"""Whom an order misses: people whose window opens and ends again between two of its due dates.

Where we select ourselves, a rule looks at the day of the selection only, so nobody would ever hear of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from reku.catalogue.occasion import Window
from reku.catalogue.rhythm import Rhythm, Schedule, due_dates

_LOOKED_AT = timedelta(days=800)
"""Two years of due dates: each holiday, each weekday and a leap year's day."""


@dataclass(frozen=True)
class MissedDates:
    """`number` of the `looked_at` Anlass_Daten are never selected, `first` is the first of them.

    `longest_gap`: days from one due date to the next, at most.
    """

    number: int
    looked_at: int
    first: date
    longest_gap: int


def missed_dates(schedule: Schedule, window: Window, weekdays: AbstractSet[int] | None) -> MissedDates | None:
    """The Anlass_Daten for which no due date lies in the window, early enough for one of the permitted weekdays.

    `weekdays` count Monday as 0, None permits all. Looked at are those whose whole window lies between the order's
    first due date and its last one of two years. None: nobody is missed, or the order runs only once.
    """
    if schedule.rhythm is Rhythm.EINMALIG:
        return None
    dues = due_dates(schedule, schedule.valid_from, schedule.valid_from + _LOOKED_AT)
    if len(dues) < 2:
        return None
    first, last = (timedelta(days=days) for days in (window.first_day, window.last_day))
    occasion_dates = [dues[0] - first + timedelta(days=n) for n in range((dues[-1] - last - dues[0] + first).days + 1)]
    missed = [day for day in occasion_dates if not _is_met(dues, day + first, day + last, weekdays)]
    if not missed:
        return None
    longest = max((later - earlier).days for earlier, later in pairwise(dues))
    return MissedDates(len(missed), len(occasion_dates), missed[0], longest)


def _is_met(dues: list[date], first: date, last: date, weekdays: AbstractSet[int] | None) -> bool:
    """Whether a due date lies in the window, and a permitted day not before it."""
    while last >= first and weekdays is not None and last.weekday() not in weekdays:
        last -= timedelta(days=1)
    place = bisect_left(dues, first)
    return place < len(dues) and dues[place] <= last
