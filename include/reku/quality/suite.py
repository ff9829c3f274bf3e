"""One Great Expectations suite per delivery, and every row that breaks it.

The suite runs on a pandas frame in an ephemeral context. Never over SQL: there GX stops at 20 rows per rule, silently
(performance-notes.md 2). What GX has no exact expectation for (calendar days, mail addresses, fields demanded under a
condition) is worked out beforehand into a column of booleans that is expected to be true.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from reku.addresses import is_valid
from reku.errors import StageError
from reku.quality import checks
from reku.quality.rules import Rule, Severity
from reku.records.contract import Conditions
from reku.records.times import parse_date, parse_moment

_WHOLE = re.compile(r"-?[0-9]{1,18}")

_ON_EMPTY = (checks.Required, checks.MediumChoice)
"""Checks that an empty field can break."""

_GX_SEVERITY = {Severity.REFUSE: "critical", Severity.REJECT: "warning", Severity.WARN: "info"}
_COMPLETE = {
    # The frame's index holds the line numbers; without named index columns GX lists the index of every bad row.
    "result_format": "COMPLETE",
    "include_unexpected_rows": False,
    "return_unexpected_index_query": False,
}


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


@dataclass(frozen=True)
class Finding:
    """What a rule found: the line number of every row that breaks it, ascending, and how many rows it looked at.

    It looks at the rows whose field is filled; one that an empty field can break looks at all of them.
    """

    rule: Rule
    lines: tuple[int, ...]
    looked_at: int


def judge(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    lines: Sequence[int],
    by: Sequence[Rule],
    expected: Expected,
) -> list[Finding]:
    """Hold rows against rules; one finding for each rule, in the order of the rules `by`.

    `columns` names the cells of each row, `lines` the line number of each row in its file. A field that the file has
    no column for counts as empty. Raises StageError if GX could not carry out a rule: nothing passes unchecked.
    """
    if not rows or not by:
        return [Finding(rule, (), 0) for rule in by]
    gx, gxe, types, pd = _libraries()
    frame = pd.DataFrame(_cells(columns, rows, by), index=list(lines), dtype=object)
    expectations = [_expectation(gxe, frame, rule, expected, {"rule": number}) for number, rule in enumerate(by)]
    context = gx.get_context(
        mode="ephemeral",
        project_config=types.DataContextConfig(
            # Otherwise every delivery leaves an empty folder in /tmp for a site that nobody builds.
            store_backend_defaults=types.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            progress_bars={"globally": False},
            analytics_enabled=False,
        ),
    )
    asset = context.data_sources.add_pandas("delivery").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    outcome = batch.validate(gx.ExpectationSuite("gate", expectations=expectations), result_format=_COMPLETE)
    broken: dict[int, tuple[int, ...]] = {}
    for result in outcome.results:
        number = result.expectation_config.meta["rule"]
        broken[number] = _lines(result, by[number])
    if len(broken) != len(by):
        raise StageError(
            f"The gate carried out {len(broken)} of {len(by)} rules, so nothing was written. Clear the task."
        )
    filled = frame.notna().sum()
    return [
        Finding(rule, broken[number], len(rows) if isinstance(rule.check, _ON_EMPTY) else int(filled[rule.field]))
        for number, rule in enumerate(by)
    ]


def _libraries() -> tuple[Any, Any, Any, Any]:
    """Great Expectations, its expectations, its types, and pandas: seconds to import, so only to judge a delivery."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    import great_expectations.data_context.types.base as types
    import great_expectations.expectations as gxe
    import pandas as pd

    return gx, gxe, types, pd


def _cells(columns: Sequence[str], rows: Sequence[Sequence[str]], rules: Sequence[Rule]) -> dict[str, list[str | None]]:
    """The columns that rules look at. Blank cells become None, which GX leaves out of all checks but not-null."""
    position = {column: number for number, column in enumerate(columns)}
    cells: dict[str, list[str | None]] = {}
    for field in dict.fromkeys(field for rule in rules for field in rule.fields):
        at = position.get(field)
        cells[field] = [None] * len(rows) if at is None else [row[at] if row[at].strip() else None for row in rows]
    return cells


def _expectation(gxe: Any, frame: Any, rule: Rule, expected: Expected, meta: dict[str, int]) -> Any:
    """The GX expectation of a rule; may add a column of booleans to the frame."""
    shared = {"column": rule.field, "meta": meta, "severity": _GX_SEVERITY[rule.severity]}
    match rule.check:
        case checks.Required(when=when) if not when:
            return gxe.ExpectColumnValuesToNotBeNull(**shared)
        case checks.MaxLength(length=length):
            return gxe.ExpectColumnValueLengthsToBeBetween(max_value=length, **shared)
        case checks.Pattern(regex=regex):
            return gxe.ExpectColumnValuesToMatchRegex(regex=f"^(?:{regex})$", **shared)
        case checks.Among(values=values):
            return gxe.ExpectColumnValuesToBeInSet(value_set=list(values), **shared)
        case checks.AsExpected(of=of):
            return gxe.ExpectColumnValuesToBeInSet(value_set=[getattr(expected, of)], **shared)
        case _:
            helper = f"{rule.name} holds"
            frame[helper] = _holds(frame, rule, expected)
            return gxe.ExpectColumnValuesToBeInSet(value_set=[True], **shared | {"column": helper})


def _holds(frame: Any, rule: Rule, expected: Expected) -> list[bool]:
    """Row by row, whether the rule holds; worked out once per distinct combination of the values it looks at."""
    if isinstance(rule.check, checks.Unique):
        # GX's own expectation of uniqueness condemns the first of the rows as well.
        cells = frame[rule.field]
        good: list[bool] = (~cells.duplicated() | cells.isna()).tolist()
        return good
    test = _test(rule, expected)
    columns = [frame[field].tolist() for field in rule.fields]
    known: dict[tuple[str | None, ...], bool] = {}
    for values in zip(*columns, strict=True):
        if values not in known:
            known[values] = test(*(value or "" for value in values))
    return [known[values] for values in zip(*columns, strict=True)]


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
        case checks.Address():
            return lambda value: value == "" or is_valid(value)
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


def _lines(result: Any, rule: Rule) -> tuple[int, ...]:
    """Every line that breaks the rule. Raises StageError if GX failed at it or does not list all."""
    listed = result.result.get("unexpected_index_list")
    if listed is None or len(listed) != result.result.get("unexpected_count"):
        raise StageError(
            f"Great Expectations could not carry out the rule {rule.name!r} of the gate, so the delivery was not judged"
            " and nothing was written. Check the rule in include/expectations or the contract, then clear the task."
        )
    return tuple(sorted(int(line) for line in listed))
