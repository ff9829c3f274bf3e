"""Each kind of check as a function of the values that it looks at; blank values are given as ""."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date

from reku.foundation.addresses import normalised
from reku.records import checks
from reku.records.checks import Check
from reku.records.contract import Conditions
from reku.records.times import parse_date, parse_moment

_WHOLE = re.compile(r"-?[0-9]{1,18}")


def verdicts(check: Check, order: object, values: Sequence[str], *others: Sequence[str]) -> Iterable[bool]:
    """Whether the check holds for each of a field's values, beside those of the other fields it looks at.

    `order` bears what `AsExpected` compares with, such as the head of the file.
    """
    match check:
        case checks.Address():
            valid = normalised(values)  # many at once take a tenth of the time
            return (value == "" or value in valid for value in values)
        case checks.Unique():
            return _not_seen(values)
        case _:
            return map(_test(check, order), values, *others)


def day_of(value: str) -> date | None:
    """The day TT.MM.JJJJ, or None where the calendar has none like it."""
    try:
        return parse_date(value)
    except ValueError:
        return None


def _test(check: Check, order: object) -> Callable[..., bool]:
    """The check as a function of the values of the fields it looks at."""
    match check:
        case checks.Required(when=when):
            return lambda value, *others: value != "" or not _all_hold(when, others)
        case checks.EmptyUnless(when=when):
            return lambda value, *others: value == "" or _all_hold(when, others)
        case checks.MaxLength(length=length):
            return lambda value: len(value) <= length
        case checks.Pattern(regex=regex):
            wanted = re.compile(regex)
            return lambda value: value == "" or wanted.fullmatch(value) is not None
        case checks.Without(regex=regex):
            unwanted = re.compile(regex)
            return lambda value: value == "" or unwanted.search(value) is None
        case checks.Encodable(encoding=encoding):
            return lambda value: value.isascii() or _is_encodable(value, encoding)
        case checks.Among(values=allowed):
            return lambda value: value == "" or value in allowed
        case checks.AsExpected(of=of):
            return lambda value: value in ("", getattr(order, of))
        case checks.WholeNumber():
            return lambda value: value == "" or _number(value) is not None
        case checks.NumberBetween(minimum=minimum, maximum=maximum):
            return lambda value: (number := _number(value)) is None or _between(number, minimum, maximum)
        case checks.InSteps(first=least, step=step, last=most):
            return lambda value: (number := _number(value)) is None or number in range(least, most + 1, step)
        case checks.Day():
            return lambda value: value == "" or day_of(value) is not None
        case checks.DayBetween(first=first, last=last):
            earliest, latest = parse_date(first), parse_date(last)
            return lambda value: (day := day_of(value)) is None or earliest <= day <= latest
        case checks.Moment():
            return lambda value: value == "" or _is_moment(value)
        case checks.NotBefore():
            return _not_before
        case _:
            raise TypeError(f"{check.kind} looks at all values at once")


def _is_encodable(value: str, encoding: str) -> bool:
    try:
        value.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _not_seen(values: Iterable[str]) -> Iterator[bool]:
    """Whether no earlier value is the same; an empty one repeats nothing."""
    seen = {""}
    for value in values:
        yield value == "" or value not in seen
        seen.add(value)


def _all_hold(when: Conditions, values: Sequence[str]) -> bool:
    return all(value in allowed for value, allowed in zip(values, when.values(), strict=True))


def _number(value: str) -> int | None:
    return int(value) if _WHOLE.fullmatch(value) else None


def _between(number: int, minimum: int | None, maximum: int | None) -> bool:
    return (minimum is None or number >= minimum) and (maximum is None or number <= maximum)


def _not_before(value: str, other: str) -> bool:
    """Whether the day is not before the other; true where one of them is missing or no day, which has its own check."""
    day, first = day_of(value), day_of(other)
    return day is None or first is None or day >= first


def _is_moment(value: str) -> bool:
    try:
        parse_moment(value)
    except ValueError:
        return False
    return True
