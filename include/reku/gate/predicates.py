"""Whether a rule of the gate holds for values of a delivery; blank values are given as ""."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta

from reku.gate.checks import DayAroundDelivery, MediumChoice
from reku.gate.rules import Rule
from reku.records import predicates
from reku.records.predicates import day_of


@dataclass(frozen=True)
class Expected:
    """What the rows of one delivery are held against, besides their contract.

    `media`: keys of all media; `must_choose`: the order's campaign has several, so that each row names one; `day`: when
    the delivery was made (Berlin); `covers`: days from then on whose occasions it may hold, by the order's rhythm.
    """

    institute: str
    order_number: str
    occasion: str
    media: AbstractSet[str]
    must_choose: bool
    day: date
    covers: int = 0


def verdicts(rule: Rule, expected: Expected, values: Sequence[str], *others: Sequence[str]) -> Iterable[bool]:
    """Whether the rule holds for each of the values of its field, beside those of the other fields it looks at."""
    match rule.check:
        case DayAroundDelivery(before=before, after=after):
            first = expected.day - timedelta(days=before)
            last = expected.day + timedelta(days=expected.covers + after)
            return ((day := day_of(value)) is None or first <= day <= last for value in values)
        case MediumChoice():
            return (not expected.must_choose if value == "" else value in expected.media for value in values)
        case check:
            return predicates.verdicts(check, expected, values, *others)
