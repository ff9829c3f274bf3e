"""Which calendar day a run is for, and what belongs to it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from reku.foundation import clock
from reku.foundation.errors import StageError


def day_of(param: str | None, logical_date: object, run_after: object) -> date:
    """The calendar day a run is for: its param `day`, else its logical date, else the day it was started, in Berlin.

    Raises StageError for a day that has not come yet.
    """
    if param:
        day = date.fromisoformat(param)
    else:
        moment = logical_date or run_after
        if not isinstance(moment, datetime):
            raise TypeError(f"a run without a date: {moment!r}")
        day = clock.berlin(moment).date()
    check_has_come(day)
    return day


def check_has_come(day: date) -> None:
    """Raises StageError for a day that has not come yet."""
    if day > clock.today():
        raise StageError(f"The day {day:%d.%m.%Y} has not come yet. Start the run on that day, or for another.")


def end_of_waiting(day: date) -> datetime:
    """Every wait of a run ends by 12:00 of the next day."""
    return clock.at(day + timedelta(days=1), 12)


def handed_over_by(day: date, today: date, loaded_at: datetime | None) -> tuple[date, date | None]:
    """Which messages of a delivery a run hands over: those due up to a day, or exactly on the second one if given.

    The present day's run takes everything outstanding, a past day's run only what was due on that day. But what a past
    day's run has loaded late (after the night's grace, a repair, a backfill) was never due before: the present day's
    run may have listed its work by then, so it is handed over up to the present day.
    """
    if day >= today:
        return day, None
    if loaded_at is not None and clock.berlin(loaded_at).date() > day:
        return today, None
    return day, day
