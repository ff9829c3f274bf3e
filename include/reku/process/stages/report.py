"""The end of the day's work: a run is green only when everything is done, resolved and adds up."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.process.answers import Done, StageOutcome
from reku.process.due_work import Item
from reku.process.ownership import OwningRun
from reku.process.summary import sum_up

log = logging.getLogger(__name__)


def report(
    engine: sa.Engine,
    occasion: str,
    day: date,
    owner: OwningRun,
    items: Sequence[Item],
    outcomes: Sequence[StageOutcome],
) -> Done:
    """Log what was done. Raises StageError with everything that keeps the run from being green."""
    summary = sum_up(engine, occasion, day, owner.run, items, outcomes)
    for line in summary.lines:
        log.info(line)
    if summary.problems:
        raise StageError("\n".join(["Not green:", *(f"- {problem}" for problem in summary.problems)]))
    return Done(summary.counts)
