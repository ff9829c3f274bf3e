"""Whom a rule selects, in plain Python: three truths, one row after the other, as slowly as it likes.

What lies beside a person is a holding or an impulse; an impulse has its Berlin day as `made`.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from reku.catalogue.occasion import Window
from reku.catalogue.selection import OF_HOLDINGS, OF_IMPULSES, Condition, Selection

Record = Mapping[str, Any]


def selected(
    rule: Selection,
    window: Window,
    people: Sequence[Record],
    held: Sequence[Record],
    day: date,
    told: Sequence[Record] = (),
    codes: Sequence[str] = (),
) -> set[tuple[str, date, str | None]]:
    """Person, Anlass_Datum and, of impulses (`told`), the one that takes precedence."""
    found: dict[tuple[str, date], Record | None] = {}
    for person in people:
        own = [one for one in held if one["person_number"] == person["person_number"]]
        beside: dict[str, list[Record | None]] = {
            "person": [None],
            "holding": list(own),
            "impulse": [
                one for one in told if one["person_number"] == person["person_number"] and open_(one, day, codes)
            ],
        }
        rows = beside[rule.row]
        for row in rows:
            start = value_of(rule.on, person, row)
            for occasion_date in dates(rule, start):
                first, last = (occasion_date + timedelta(days=days) for days in (window.first_day, window.last_day))
                if not first <= day <= last:
                    continue
                if rule.where is None or holds(rule.where, person, row, own, day, occasion_date) is True:
                    pair = (person["person_number"], occasion_date)
                    found[pair] = better(found.get(pair), row) if rule.row == "impulse" else None
    return {(*pair, row["impulse"] if row else None) for pair, row in found.items()}


def open_(impulse: Record, day: date, codes: Sequence[str]) -> bool:
    return impulse["code"] in codes and (impulse["valid_until"] is None or impulse["valid_until"] >= day)


def better(one: Record | None, other: Record | None) -> Record | None:
    """Of two impulses the one that takes precedence."""
    if one is None or other is None:
        return one or other
    return min(one, other, key=lambda impulse: (impulse["priority"], impulse["made_at"], impulse["impulse"]))


def dates(rule: Selection, start: date | None) -> Iterator[date]:
    if start is None:
        return
    if not rule.anniversary:
        yield start
        return
    for year in range(start.year + 1, 2035):
        yield anniversary(start, year)


def anniversary(start: date, year: int) -> date:
    if (start.month, start.day) == (2, 29) and not isleap(year):
        return date(year, 3, 1)
    return start.replace(year=year)


def years_between(start: date, end: date) -> int:
    return end.year - start.year - (anniversary(start, end.year) > end)


def value_of(field: str, person: Record, row: Record | None) -> Any:
    if field in OF_HOLDINGS | OF_IMPULSES:
        assert row is not None
        return row[field]
    return person[field]


def holds(
    condition: Condition, person: Record, row: Record | None, own: Sequence[Record], day: date, occasion_date: date
) -> bool | None:
    """True, False, or None: unknown."""

    def inner(part: Condition, of: Record | None = row) -> bool | None:
        return holds(part, person, of, own, day, occasion_date)

    match condition.kind:
        case "all":
            truths = [inner(part) for part in condition.of]
            return False if False in truths else None if None in truths else True
        case "any":
            truths = [inner(part) for part in condition.of]
            return True if True in truths else None if None in truths else False
        case "not":
            truth = inner(condition.of)
            return None if truth is None else not truth
        case "has":
            return any(inner(condition.where, one) is True for one in own)
        case "has_no":
            return not any(inner(condition.where, one) is True for one in own)
    value = value_of(condition.field, person, row)
    if condition.kind == "known":
        return value is not None
    if value is None:
        return None
    match condition.kind:
        case "in":
            return value in condition.values
        case "not_in":
            return value not in condition.values
        case "begins":
            return value.startswith(condition.values)
        case "day_near":
            return condition.first <= (value - day).days <= condition.last
        case "years":
            years = years_between(value, occasion_date)
            return condition.minimum <= years <= condition.maximum and (years - condition.minimum) % condition.step == 0
    raise AssertionError(condition.kind)
