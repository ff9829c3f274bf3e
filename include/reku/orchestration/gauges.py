"""The domain's figures by Airflow's own metrics: to StatsD or OpenTelemetry, whichever its settings name.

Of a day there are gauges that begin anew at midnight: they come out the same however often a task is tried, and a
receiver that was away for a while misses nothing. Names: docs/operations.md, "Metrics".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING

from airflow.sdk.observability import stats

if TYPE_CHECKING:
    from reku.store.kinds import EventKind
    from reku.views.day_figures import DayFigures


def gauges(figures: DayFigures) -> dict[str, float]:
    """The figures by the name of their gauge; those of events that did not happen today are 0."""
    from reku.contact.reasons import Reason  # Airflow parses with this module
    from reku.store.kinds import EventKind

    kinds: Counter[EventKind] = Counter()
    reasons: Counter[str] = Counter()
    for event in figures.events:
        kinds[event.kind] += event.count
        if event.kind is EventKind.NOT_SENT:
            reasons[event.reason] += event.count
    return {
        **{f"reku.today.{kind.lower()}": float(kinds[kind]) for kind in EventKind},
        **{f"reku.today.withheld.{reason.lower()}": float(reasons[reason]) for reason in Reason},
        **{f"reku.deliveries.{state.lower()}": float(count) for state, count in figures.deliveries.items()},
        "reku.deliveries.asked": float(figures.asked),
        "reku.messages.in_doubt": float(figures.in_doubt),
        **{f"reku.collected_ago.{source}": age.total_seconds() for source, age in figures.collected.items()},
    }


def report_figures(figures: DayFigures) -> int:
    """Hand all gauges on, and say how many they are."""
    named = gauges(figures)
    for name, value in named.items():
        stats.gauge(name, value)
    return len(named)


@contextmanager
def timed(stage: str) -> Iterator[None]:
    """How long one call of a stage takes, however it ends: waiting between two calls is not in it."""
    begun = monotonic()
    try:
        yield
    finally:
        stats.timing(f"reku.stage.{stage}", timedelta(seconds=monotonic() - begun))
