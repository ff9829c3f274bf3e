"""Who falls between two due dates of an order is known from its rhythm and the occasion's window."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.catalogue.missed_dates import missed_dates
from reku.catalogue.occasion import Window
from reku.catalogue.rhythm import Rhythm, Schedule, due_dates

FIRST = date(2026, 1, 5)
"""A Monday."""


def schedule(rhythm: str, **changes: object) -> Schedule:
    told: dict[str, object] = {"valid_until": None, "state": "NW", "due_on_holiday": "keep"}
    return Schedule(Rhythm(rhythm), FIRST, **told | changes)  # type: ignore[arg-type]  # as the table has it


@pytest.mark.parametrize(
    ("of", "window", "weekdays", "missed"),
    [
        (schedule("TAEGLICH"), (0, 0), None, None),
        (schedule("TAEGLICH", daily_on="bank_working_days"), (0, 0), None, (date(2026, 1, 10), 5)),
        (schedule("TAEGLICH", daily_on="bank_working_days"), (0, 4), None, None),
        (schedule("WOECHENTLICH"), (0, 3), None, (date(2026, 1, 6), 7)),
        (schedule("WOECHENTLICH"), (-3, 3), None, None),
        (schedule("WOECHENTLICH"), (-60, 0), None, None),
        (schedule("WOECHENTLICH"), (-3, 3), frozenset({1}), (date(2026, 1, 9), 7)),
        (schedule("TAEGLICH"), (0, 3), frozenset({0}), (date(2026, 1, 6), 1)),
        (schedule("MONATLICH"), (0, 29), None, (date(2026, 1, 6), 31)),
        (schedule("MONATLICH"), (0, 30), None, None),
        (schedule("EINMALIG"), (0, 0), None, None),
        (schedule("WOECHENTLICH", valid_until=FIRST + timedelta(days=6)), (0, 3), None, None),
        (schedule("WOECHENTLICH", due_on_holiday="next_bank_working_day"), (-3, 3), None, (date(2026, 4, 3), 8)),
    ],
)
def test_who_is_missed(
    of: Schedule, window: tuple[int, int], weekdays: frozenset[int] | None, missed: tuple[date, int] | None
) -> None:
    found = missed_dates(of, Window(first_day=window[0], last_day=window[1]), weekdays)
    assert (found and (found.first, found.longest_gap)) == missed


@given(
    rhythm=st.sampled_from(["TAEGLICH", "WOECHENTLICH", "ZWEIWOECHENTLICH", "MONATLICH"]),
    first=st.integers(-20, 5),
    days=st.integers(1, 40),
)
def test_a_window_as_long_as_the_longest_gap_misses_nobody(rhythm: str, first: int, days: int) -> None:
    of = schedule(rhythm)
    found = missed_dates(of, Window(first_day=first, last_day=first + days - 1), None)
    dues = due_dates(of, FIRST, FIRST + timedelta(days=400))
    assert (found is None) == (days >= max((b - a).days for a, b in pairwise(dues)))
