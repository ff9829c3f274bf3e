"""Bank working days of the German states."""

import subprocess
import sys
from datetime import date

import pytest

from reku.catalogue.calendar import (
    STATES,
    bank_working_day_from,
    bank_working_day_until,
    is_bank_working_day,
    public_holidays,
)


@pytest.mark.parametrize(
    ("day", "state", "works"),
    [
        (date(2026, 11, 23), "NW", True),  # a Monday
        (date(2026, 11, 21), "NW", False),  # a Saturday
        (date(2026, 11, 22), "NW", False),  # a Sunday
        (date(2026, 6, 4), "NW", False),  # Fronleichnam
        (date(2026, 6, 4), "BE", True),  # not in Berlin
        (date(2026, 11, 18), "SN", False),  # Buß- und Bettag
        (date(2026, 11, 18), "BY", True),
        (date(2027, 3, 8), "BE", False),  # Frauentag
        (date(2027, 3, 8), "NW", True),
        (date(2025, 10, 31), "NI", False),  # Reformationstag
        (date(2025, 10, 31), "HE", True),
        (date(2026, 12, 24), "HH", False),  # no public holiday, but banks are closed
        (date(2026, 12, 31), "HH", False),
        (date(2026, 12, 30), "HH", True),
    ],
)
def test_bank_working_days(day: date, state: str, works: bool) -> None:
    assert is_bank_working_day(day, state) is works


def test_christmas_is_bridged_in_both_directions() -> None:
    # 24.12.2026 is a Thursday: closed until Sunday.
    assert bank_working_day_from(date(2026, 12, 24), "BE") == date(2026, 12, 28)
    assert bank_working_day_until(date(2026, 12, 27), "BE") == date(2026, 12, 23)


@pytest.mark.parametrize("state", STATES)
def test_no_state_is_closed_for_a_week(state: str) -> None:
    """What keeps moved weekly due dates apart."""
    for ordinal in range(date(2024, 1, 1).toordinal(), date(2036, 1, 1).toordinal()):
        day = date.fromordinal(ordinal)
        assert (bank_working_day_from(day, state) - day).days < 7


def test_an_unknown_state_is_named_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"'XX' is no German state; valid: BB, BE"):
        public_holidays("XX", 2026)


def test_the_holidays_library_is_loaded_only_when_needed() -> None:
    program = "import sys, reku.catalogue.rhythm, reku.catalogue.window; print('holidays' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
