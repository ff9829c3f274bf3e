"""The gate's peer: the same rules by hand in vectorised pandas, without explanations, counts or a second look.

Its pattern for addresses is a plain regular expression, which is right for the addresses of `deliveries` and for few
others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pandas as pd

from reku.gate.checks import DayAroundDelivery
from reku.gate.predicates import Expected
from reku.gate.rules import Rule
from reku.records import checks
from reku.records.contract import Conditions

_ATOM = r"[a-z0-9_+-]+"
_ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@{_ATOM}(?:\.{_ATOM})+"


def breaches(frame: pd.DataFrame, rules: Sequence[Rule], expected: Expected) -> dict[str, list[int]]:
    """For each rule's name the lines that break it; the index of the frame, which is all text, holds the lines."""
    judge = _Judge(frame, expected)
    return {rule.name: frame.index[judge.bad(rule)].tolist() for rule in rules}


class _Judge:
    def __init__(self, frame: pd.DataFrame, expected: Expected) -> None:
        self._frame, self._expected = frame, expected
        self._filled = cache(lambda field: frame[field].str.strip() != "")
        self._day = cache(lambda field: pd.to_datetime(frame[field], format="%d.%m.%Y", errors="coerce"))
        self._number = cache(lambda field: pd.to_numeric(frame[field], errors="coerce"))

    def bad(self, rule: Rule) -> Any:
        """Which rows break the rule."""
        values, filled = self._frame[rule.field], self._filled(rule.field)
        match rule.check:
            case checks.Required(when=when):
                return ~filled & self._hold(when)
            case checks.EmptyUnless(when=when):
                return filled & ~self._hold(when)
            case checks.MaxLength(length=length):
                return filled & (values.str.len() > length)
            case checks.Pattern(regex=regex):
                return filled & ~values.str.fullmatch(regex)
            case checks.Without(regex=regex):
                return filled & values.str.contains(regex)
            case checks.Among(values=allowed):
                return filled & ~values.isin(allowed)
            case checks.AsExpected(of=of):
                return filled & (values != getattr(self._expected, of))
            case checks.Unique():
                return filled & values.duplicated()
            case checks.Address():
                return filled & ~values.str.fullmatch(_ADDRESS)
            case checks.InSteps(first=first, step=step, last=last):
                number = self._number(rule.field)
                return filled & ((number < first) | (number > last) | ((number - first) % step != 0))
            case _:
                return self._bad_day(rule)

    def _bad_day(self, rule: Rule) -> Any:
        filled, day = self._filled(rule.field), self._day(rule.field)
        match rule.check:
            case checks.Day():
                return filled & day.isna()
            case checks.DayBetween(first=first, last=last):
                low, high = (pd.to_datetime(bound, format="%d.%m.%Y") for bound in (first, last))
                return day.notna() & ~day.between(low, high)
            case DayAroundDelivery(before=before, after=after):
                delivered = pd.Timestamp(self._expected.day)
                low = delivered - pd.Timedelta(days=before)
                high = delivered + pd.Timedelta(days=self._expected.covers + after)
                return day.notna() & ~day.between(low, high)
            case _:
                raise TypeError(f"rule {rule.name}: {rule.check.kind} does not occur in these deliveries")

    def _hold(self, when: Conditions) -> Any:
        holds = pd.Series(data=True, index=self._frame.index)
        for field, allowed in when.items():
            holds &= self._frame[field].isin(allowed)
        return holds
