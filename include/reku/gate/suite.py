"""One Great Expectations suite per delivery, and every row that breaks it.

The suite runs on pandas frames in an ephemeral context. Never over SQL: there GX stops at 20 rows per rule, silently.
A frame holds what the expectations look at: how long each value is, the values of closed sets, and, for what needs
more than a look at one value (calendar days, mail addresses, fields demanded under a condition), a column of booleans
that is expected to be true, worked out beforehand for each different value.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from reku.foundation.errors import StageError
from reku.gate.checks import MediumChoice
from reku.gate.predicates import Expected, verdicts
from reku.gate.rules import Rule
from reku.records import checks
from reku.records.distinct import Piece, holds, pieces
from reku.store.kinds import Severity

_AT_ONCE = 200_000
"""Rows that GX is given at a time, so that a delivery of any size takes bounded memory."""

_ON_EMPTY = (checks.Required, MediumChoice)
"""Checks that an empty field can break."""

_GX_SEVERITY = {Severity.REFUSE: "critical", Severity.REJECT: "warning", Severity.WARN: "info"}


@dataclass(frozen=True)
class Finding:
    """What a rule found: the line number of every row that breaks it, ascending, and how many rows it looked at.

    It looks at the rows whose field is filled; one that an empty field can break looks at all of them.
    """

    rule: Rule
    lines: tuple[int, ...]
    looked_at: int


def find_breaches(
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
    unique = [rule.field for rule in by if isinstance(rule.check, checks.Unique)]
    parts: list[list[Finding]] = []
    for start, piece in pieces(columns, rows, unique, _AT_ONCE):
        if parts:
            gc.collect()  # GX leaves each frame in a circle of references
        parts.append(_judge_piece(piece, lines[start : start + _AT_ONCE], by, expected))
    return [
        Finding(
            rule, tuple(chain.from_iterable(part.lines for part in findings)), sum(part.looked_at for part in findings)
        )
        for rule, *findings in zip(by, *parts, strict=True)
    ]


def _judge_piece(piece: Piece, lines: Sequence[int], by: Sequence[Rule], expected: Expected) -> list[Finding]:
    """What each rule finds in some rows. Raises StageError if GX did not carry out every rule."""
    gx, expecting, types, pd = _libraries()
    watched: dict[str, Any] = {}
    expectations = [
        _expectation(expecting, watched, piece, rule, expected, {"rule": number}) for number, rule in enumerate(by)
    ]
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
    frame = pd.DataFrame(watched, index=lines)  # the expectations answer with the index of every row that breaks them
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    outcome = batch.validate(gx.ExpectationSuite("gate", expectations=expectations))
    broken: dict[int, tuple[int, ...]] = {}
    for result in outcome.results:
        number = result.expectation_config.meta["rule"]
        broken[number] = _lines(result, by[number])
    if len(broken) != len(by):
        raise StageError(
            f"The gate carried out {len(broken)} of {len(by)} rules, so nothing was written. Clear the task."
        )
    return [
        Finding(
            rule, broken[number], len(lines) if isinstance(rule.check, _ON_EMPTY) else piece[rule.field].filled_rows
        )
        for number, rule in enumerate(by)
    ]


def _libraries() -> tuple[Any, Any, Any, Any]:
    """Great Expectations, our expectations, its types, and pandas: seconds to import, so only to judge a delivery."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    import great_expectations.data_context.types.base as types
    import pandas as pd

    from reku.gate import expectations as expecting

    return gx, expecting, types, pd


def _expectation(
    expecting: Any, watched: dict[str, Any], piece: Piece, rule: Rule, expected: Expected, meta: dict[str, int]
) -> Any:
    """The GX expectation of a rule; puts the column that it looks at into `watched`. GX leaves out what is null."""
    shared = {"meta": meta, "severity": _GX_SEVERITY[rule.severity]}
    field = piece[rule.field]
    length, holding = f"{rule.field} length", f"{rule.name} holds"
    match rule.check:
        case checks.Required(when=when) if not when:
            watched.setdefault(length, field.lengths)
            return expecting.ExpectFieldToBeFilled(column=length, **shared)
        case checks.MaxLength(length=most):
            watched.setdefault(length, field.lengths)
            return expecting.ExpectLengthNotToExceed(column=length, max_value=most, **shared)
        case checks.Among(values=values):
            watched.setdefault(rule.field, field.categories)
            return expecting.ExpectFieldToBeInSet(column=rule.field, value_set=list(values), **shared)
        case checks.AsExpected(of=of):
            watched.setdefault(rule.field, field.categories)
            return expecting.ExpectFieldToBeInSet(column=rule.field, value_set=[getattr(expected, of)], **shared)
        case checks.Unique():
            # GX's own expectation of uniqueness condemns the first of the rows as well.
            watched[holding] = ~piece.repeats(rule.field)
        case _:
            watched[holding] = holds(partial(verdicts, rule, expected), [piece[name] for name in rule.fields])
    return expecting.ExpectFieldToBeInSet(column=holding, value_set=[True], **shared)


def _lines(result: Any, rule: Rule) -> tuple[int, ...]:
    """Every line that breaks the rule. Raises StageError if GX failed at it."""
    listed = result.result.get("unexpected_index_list")
    if listed is None:
        raise StageError(
            f"Great Expectations could not carry out the rule {rule.name!r} of the gate, so the delivery was not judged"
            " and nothing was written. Check the rule in include/expectations or the contract, then clear the task."
        )
    return tuple(sorted(listed))
