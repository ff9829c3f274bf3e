"""Each kind of check as a function of the values that a rule looks at; blank values are given as ""."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta

from reku.foundation.addresses import normalised
from reku.gate import checks
from reku.gate.rules import Rule
from reku.records.contract import Conditions
from reku.records.times import parse_date, parse_moment

_WHOLE = re.compile(r"-?[0-9]{1,18}")


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
    if isinstance(rule.check, checks.Address):
        valid = normalised(values)  # many at once take a tenth of the time
        return (value == "" or value in valid for value in values)
    return map(_test(rule, expected), values, *others)


def _test(rule: Rule, expected: Expected) -> Callable[..., bool]:
    """The rule as a function of the values of `rule.fields`, empty ones as ""."""
    match rule.check:
        case checks.Required(when=when):
            return lambda value, *others: value != "" or not _all_hold(when, others)
        case checks.EmptyUnless(when=when):
            return lambda value, *others: value == "" or _all_hold(when, others)
        case checks.WholeNumber():
            return lambda value: value == "" or _number(value) is not None
        case checks.NumberBetween(minimum=minimum, maximum=maximum):
            return lambda value: (number := _number(value)) is None or _between(number, minimum, maximum)
        case checks.InSteps(first=least, step=step, last=most):
            return lambda value: (number := _number(value)) is None or number in range(least, most + 1, step)
        case checks.Without(regex=regex):
            unwanted = re.compile(regex)
            return lambda value: unwanted.search(value) is None
        case checks.Day():
            return lambda value: value == "" or _day(value) is not None
        case checks.DayBetween(first=first, last=last):
            earliest, latest = parse_date(first), parse_date(last)
            return lambda value: (day := _day(value)) is None or earliest <= day <= latest
        case checks.DayAroundDelivery(before=before, after=after):
            return _near_delivery(expected, before, after)
        case checks.Moment():
            return lambda value: value == "" or _parses(parse_moment, value)
        case checks.NotBefore():
            return _not_before
        case checks.Pattern(regex=regex):
            wanted = re.compile(regex)
            return lambda value: value == "" or wanted.fullmatch(value) is not None
        case checks.MediumChoice():
            return lambda value: not expected.must_choose if value == "" else value in expected.media
        case _:
            raise TypeError(f"rule {rule.name}: {rule.check.kind} is an expectation of GX's own")


def _all_hold(when: Conditions, values: Sequence[str]) -> bool:
    return all(value in allowed for value, allowed in zip(values, when.values(), strict=True))


def _number(value: str) -> int | None:
    return int(value) if _WHOLE.fullmatch(value) else None


def _between(number: int, minimum: int | None, maximum: int | None) -> bool:
    return (minimum is None or number >= minimum) and (maximum is None or number <= maximum)


def _near_delivery(expected: Expected, before: int, after: int) -> Callable[[str], bool]:
    first = expected.day - timedelta(days=before)
    last = expected.day + timedelta(days=expected.covers + after)
    return lambda value: (day := _day(value)) is None or first <= day <= last


def _not_before(value: str, other: str) -> bool:
    """Whether the day is not before the other; true where one of them is missing or no day, which has its own rule."""
    day, first = _day(value), _day(other)
    return day is None or first is None or day >= first


def _day(value: str) -> date | None:
    try:
        return parse_date(value)
    except ValueError:
        return None


def _parses(parse: Callable[[str], object], value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True
