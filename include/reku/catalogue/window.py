"""When a mail is due: the play-out time on the first permitted day of the occasion's window."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache

from reku.catalogue.campaign import Campaign
from reku.catalogue.occasion import Window
from reku.foundation import clock

PLAY_OUT = time(9)
"""Berlin time at which mails become due where no campaign names one; `dispatch` complains about such a campaign."""


@dataclass(frozen=True)
class DueWindow:
    """`due_at` (UTC): from then on the mail may go out. `last_day` (Berlin): after it the mail has expired."""

    due_at: datetime
    last_day: date


def due_window(
    occasion_date: date,
    window_first: int,
    window_last: int,
    play_out: time,
    permitted_weekdays: AbstractSet[int] | None,
    now: datetime,
) -> DueWindow:
    """When a mail for `occasion_date` is due, seen from `now`.

    The window reaches from `window_first` to `window_last` days around the occasion date (birthdays 0…3, maturities
    −60…0). `play_out` is Berlin wall-clock time; `permitted_weekdays` counts Monday as 0, None permits all.

    The mail is due at the play-out time on the first permitted day of the window that is not past. On a day of the
    window whose play-out time has gone by it is due at once: `due_at` is that moment. `last_day` is the window's last
    permitted day. Where no permitted day is left, `last_day` is before today, so that the mail is withheld as expired.
    """
    first, last = occasion_date + timedelta(days=window_first), occasion_date + timedelta(days=window_last)
    permitted = [
        day
        for day in (first + timedelta(days=offset) for offset in range((last - first).days + 1))
        if permitted_weekdays is None or day.weekday() in permitted_weekdays
    ]
    if not permitted:
        # Due on the window's first day, when it has expired since the day before: never sent, and found at once.
        return DueWindow(_at(first, play_out), first - timedelta(days=1))
    today = clock.berlin(now).date()
    due_day = next((day for day in permitted if day >= today), permitted[-1])
    return DueWindow(_at(due_day, play_out), permitted[-1])


def message_window(
    window: Window, campaign: Campaign | None, now: datetime
) -> Callable[[date, date | None], DueWindow]:
    """When a message of a campaign is due by its Anlass_Datum and its own last day (None: it has none)."""
    play_out = PLAY_OUT if campaign is None or campaign.play_out_time is None else campaign.play_out_time
    weekdays = None if campaign is None else campaign.permitted_weekdays

    @cache
    def of(occasion_date: date, valid_until: date | None) -> DueWindow:
        end = window.last_day
        if valid_until is not None:
            end = min(end, (valid_until - occasion_date).days)
        return due_window(occasion_date, window.first_day, end, play_out, weekdays, now)

    return of


def anniversary(day: date, year: int) -> date:
    """The day's return in another year; 29 February counts as 1 March in years without one."""
    if (day.month, day.day) == (2, 29) and not calendar.isleap(year):
        return date(year, 3, 1)
    return day.replace(year=year)


def _at(day: date, play_out: time) -> datetime:
    return clock.at(day, play_out.hour, play_out.minute)
