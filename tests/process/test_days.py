"""Which day a run is for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from reku.foundation.errors import StageError
from reku.process.days import day_of


@pytest.mark.parametrize(
    ("param", "logical_date", "run_after", "day"),
    [
        ("2026-11-20", datetime(2026, 11, 24, 2, 5, tzinfo=UTC), datetime(2026, 11, 24, 2, 5, tzinfo=UTC), 20),
        (None, datetime(2026, 11, 22, 2, 5, tzinfo=UTC), datetime(2026, 11, 24, 2, 5, tzinfo=UTC), 22),
        (None, None, datetime(2026, 11, 24, 2, 5, tzinfo=UTC), 24),
        ("", None, datetime(2026, 11, 23, 23, 30, tzinfo=UTC), 24),  # 00:30 in Berlin
        (None, datetime(2026, 11, 24, 23, 30, tzinfo=UTC), None, None),  # 00:30 of the 25th: has not come yet
        ("2026-11-25", None, datetime(2026, 11, 24, 2, 5, tzinfo=UTC), None),
    ],
)
def test_the_day_of_a_run(
    clock_at: Callable[[datetime], None],
    param: str | None,
    logical_date: datetime | None,
    run_after: datetime,
    day: int | None,
) -> None:
    clock_at(datetime(2026, 11, 24, 11, tzinfo=UTC))
    if day is None:
        with pytest.raises(StageError, match="has not come yet"):
            day_of(param, logical_date, run_after)
    else:
        assert day_of(param, logical_date, run_after) == date(2026, 11, day)


def test_a_run_without_any_date_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="without a date"):
        day_of(None, None, None)
