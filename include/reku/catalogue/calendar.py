"""Bank working days of each German state (docs/domain.md, "Rhythms"; library `holidays`).

A bank works Monday to Friday, not on the public holidays of its state, and not on 24 and 31 December.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

STATES = ("BB", "BE", "BW", "BY", "HB", "HE", "HH", "MV", "NI", "NW", "RP", "SH", "SL", "SN", "ST", "TH")
"""Two-letter codes of the German states (ISO 3166-2:DE)."""

_ONE_DAY = timedelta(days=1)
_SATURDAY = 5


@cache
def public_holidays(state: str, year: int) -> frozenset[date]:
    """The public holidays that hold in the whole state. Raises ValueError for a state that does not exist."""
    if state not in STATES:
        raise ValueError(f"{state!r} is no German state; valid: {', '.join(STATES)}")
    import holidays  # here and not above: catalogue is imported whenever Airflow parses, and this costs time

    return frozenset(holidays.country_holidays("DE", subdiv=state, years=year))


def is_bank_working_day(day: date, state: str) -> bool:
    """Whether the banks of a state work on this day."""
    if day.weekday() >= _SATURDAY or (day.month, day.day) in ((12, 24), (12, 31)):
        return False
    return day not in public_holidays(state, day.year)


def bank_working_day_from(day: date, state: str) -> date:
    """This day if it is a bank working day, else the next one."""
    while not is_bank_working_day(day, state):
        day += _ONE_DAY
    return day


def bank_working_day_until(day: date, state: str) -> date:
    """This day if it is a bank working day, else the last one before it."""
    while not is_bank_working_day(day, state):
        day -= _ONE_DAY
    return day
