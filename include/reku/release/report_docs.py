"""Great Expectations' Data Docs of one delivery, made from what the gate counted.

A validation result is built anew from `rule_counts` and rendered by GX's own renderers, section by section. GX's own
page around them is left out: it loads style sheets, fonts and scripts from six servers and links to pages that are
not there. `html/report.html` takes its place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

from reku.release.report_facts import RuleCount

_EXPECTATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "required": ("expect_column_values_to_not_be_null", {}),
    "unique": ("expect_column_values_to_be_unique", {}),
}
# Bounds and patterns of a rule are not kept with its counts; its advice says them in words. So every other kind of
# check is shown as what it comes down to: of each row, whether the rule holds.
_HOLDS = ("expect_column_values_to_be_in_set", {"value_set": [True]})

# GX numbers the elements of each section from 1; on one page the same ids would stand there many times.
_IDS = re.compile(r'\s+id="[^"]*"')
_BLANK_LINES = re.compile(r"\s*\n\s*")


def data_docs(rules: Sequence[RuleCount], rows: int) -> tuple[str, ...]:
    """HTML of Data Docs: the statistics, then one section per field. Empty if no rule was counted."""
    if not rules:
        return ()
    # seconds to import, so only to make a report
    from great_expectations.render import CollapseContent, RenderedHeaderContent
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

    overview, *fields = ValidationResultsPageRenderer().render(_result(rules, rows)).sections
    # The header links to the page of a suite, and the block to unfold needs a script: only the statistics stay.
    overview.content_blocks = [
        block for block in overview.content_blocks if not isinstance(block, CollapseContent | RenderedHeaderContent)
    ]
    return tuple(
        _tidy(_view().render({"section": section.to_json_dict(), "section_loop": {"index": place}}))
        for place, section in enumerate((overview, *fields), start=1)
    )


@cache
def _view() -> Any:
    from great_expectations.render.view.view import DefaultJinjaSectionView

    return DefaultJinjaSectionView()


def _result(rules: Sequence[RuleCount], rows: int) -> Any:
    from great_expectations.core import ExpectationSuiteValidationResult

    good = sum(rule.broken == 0 for rule in rules)
    return ExpectationSuiteValidationResult(
        success=good == len(rules),
        results=[_of_rule(rule, rows) for rule in rules],
        suite_name="gate",
        statistics={
            "evaluated_expectations": len(rules),
            "successful_expectations": good,
            "unsuccessful_expectations": len(rules) - good,
            "success_percent": 100 * good / len(rules),
        },
        meta={},
    )


def _of_rule(rule: RuleCount, rows: int) -> Any:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    kind, arguments = _EXPECTATIONS.get(rule.check, _HOLDS)
    missing = rows - rule.looked_at
    return ExpectationValidationResult(
        success=rule.broken == 0,
        expectation_config=ExpectationConfiguration(
            type=kind,
            kwargs={"column": rule.field, **arguments},
            description=_description(rule),
            meta={"rule": rule.name, "code": rule.code},
        ),
        result={
            "element_count": rows,
            "missing_count": missing,
            "missing_percent": _percent(missing, rows),
            "unexpected_count": rule.broken,
            "unexpected_percent": _percent(rule.broken, rule.looked_at),
            "unexpected_percent_total": _percent(rule.broken, rows),
            "unexpected_percent_nonmissing": _percent(rule.broken, rule.looked_at),
            "partial_unexpected_list": [],
        },
        exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
    )


def _description(rule: RuleCount) -> str:
    """What GX shows in place of its own sentence. GX takes it for HTML."""
    return f"{escape(rule.advice)} <small>{escape(rule.name)} · {escape(rule.code)} · {escape(rule.severity)}</small>"


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _tidy(html: str) -> str:
    return _BLANK_LINES.sub("\n", _IDS.sub("", html)).strip()
