"""The expectations of Great Expectations that the rules become, and the metrics they are judged by.

GX's own column expectations ask for some thirty metrics each (values, their counts, samples, queries), of which the
gate needs one: the lines that break the rule. So ours are aggregate expectations with a metric of their own, a fifth
of what GX's cost for a small delivery. They are built for one run and never changed, but GX asks each for its
description over and over; it is made once. Importing this module takes seconds.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from great_expectations.compatibility.pydantic import PrivateAttr
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnAggregateExpectation
from great_expectations.expectations.metrics import ColumnAggregateMetricProvider, column_aggregate_value


def _lines(column: pd.Series, broken: pd.Series) -> list[int]:
    return [int(line) for line in column.index[broken.to_numpy(dtype=bool)]]


class _EmptyLines(ColumnAggregateMetricProvider):  # type: ignore[misc] # GX is not typed
    metric_name = "column.empty_lines"

    @column_aggregate_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator] # see above
    def _pandas(cls, column: pd.Series, **_: Any) -> list[int]:
        return _lines(column, column.isna())


class _LongLines(ColumnAggregateMetricProvider):  # type: ignore[misc] # see above
    metric_name = "column.long_lines"
    value_keys = ("max_value",)

    @column_aggregate_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator] # see above
    def _pandas(cls, column: pd.Series, max_value: int, **_: Any) -> list[int]:
        return _lines(column, column > max_value)


class _OtherLines(ColumnAggregateMetricProvider):  # type: ignore[misc] # see above
    metric_name = "column.other_lines"
    value_keys = ("value_set",)

    @column_aggregate_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator] # see above
    def _pandas(cls, column: pd.Series, value_set: list[Any], **_: Any) -> list[int]:
        return _lines(column, column.notna() & ~column.isin(value_set))


class _ExpectNoLine(ColumnAggregateExpectation):  # type: ignore[misc] # see above
    """The metric of the expectation finds no line."""

    _description: Any = PrivateAttr(None)

    @property
    def configuration(self) -> Any:
        """What GX knows an expectation by: its type, arguments and meta."""
        if self._description is None:
            self._description = super().configuration
        return self._description

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        (metric,) = self.metric_dependencies
        lines = metrics[metric]
        return {"success": not lines, "result": {"observed_value": len(lines), "unexpected_index_list": lines}}


class ExpectFieldToBeFilled(_ExpectNoLine):
    """No value of the column is null."""

    metric_dependencies = (_EmptyLines.metric_name,)


class ExpectLengthNotToExceed(_ExpectNoLine):
    """No number of the column is above another one; what is null is left out."""

    metric_dependencies = (_LongLines.metric_name,)
    success_keys = _LongLines.value_keys
    max_value: int


class ExpectFieldToBeInSet(_ExpectNoLine):
    """Every value of the column is one of a set; what is null is left out."""

    metric_dependencies = (_OtherLines.metric_name,)
    success_keys = _OtherLines.value_keys
    value_set: list[Any]
