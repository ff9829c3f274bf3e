"""Dates and moments as they stand in files: TT.MM.JJJJ and TT.MM.JJJJ HH:MM:SS, Europe/Berlin."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from reku.foundation.clock import BERLIN, berlin

_DATE = re.compile(r"([0-9]{2})\.([0-9]{2})\.([0-9]{4})", re.ASCII)
_MOMENT = re.compile(r"([0-9]{2}\.[0-9]{2}\.[0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2})", re.ASCII)


def parse_date(text: str) -> date:
    """A `D` value, e.g. 24.11.2026. Raises ValueError if it is written otherwise or is no day of the calendar."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("not written as TT.MM.JJJJ")
    day, month, year = map(int, match.groups())
    return date(year, month, day)


def format_date(day: date) -> str:
    """The day as a `D` value."""
    return f"{day.day:02}.{day.month:02}.{day.year:04}"


def parse_moment(text: str) -> datetime:
    """A `DT` value as a UTC moment. Raises ValueError if it is written otherwise or no clock can show it.

    Of the hour that comes twice in autumn the first is meant. The hour left out in spring is read as if the clock
    had not been put forward, since a sender that lives by winter time writes it so.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("not written as TT.MM.JJJJ HH:MM:SS")
    day = parse_date(match[1])
    hour, minute, second = int(match[2]), int(match[3]), int(match[4])
    try:
        return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=BERLIN).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of the calendar") from error


def format_moment(moment: datetime) -> str:
    """The moment (with a zone) as a `DT` value in Berlin time. Raises ValueError without a zone."""
    local = berlin(moment)
    return f"{format_date(local)} {local.hour:02}:{local.minute:02}:{local.second:02}"
