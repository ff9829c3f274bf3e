"""Housekeeping: what is kept for a time only is removed when its time is over (docs/privacy.md, "Periods").

Every step removes what is due in small pieces, each whole or not at all, and may be killed and run again at any time.
Suppressions are never removed: an objection holds until the person withdraws it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.foundation.one_by_one import one_by_one
from reku.foundation.settings import Settings, settings
from reku.privacy import old_files, old_rows, prepared_files

log = logging.getLogger(__name__)

Step = Callable[[sa.Engine, datetime, Settings], tuple[Counter[str], list[str]]]

STEPS: tuple[Step, ...] = (
    prepared_files.expired,
    prepared_files.fetched,
    prepared_files.unacknowledged,
    old_rows.sent_rows,
    old_files.originals,
    old_files.outbox,
    old_rows.rejected_rows,
    old_rows.whole_deliveries,
    old_rows.forgotten_people,
    old_rows.the_rest,
    old_rows.unused_keys,
    old_files.bounce_mails,
    old_files.selected_bounce_mails,
    old_files.journals,
    old_files.logs,
)
"""In this order: what hangs on something goes before it."""


def apply(engine: sa.Engine, now: datetime) -> dict[str, int]:
    """Remove everything whose period is over at `now`. Returns how many of what; what was not there is left out.

    Moments of the database are held against `now`, times of plain files (mails, logs) against the real clock, since
    they are real. Removes nothing that is still needed: open messages and those in doubt, events not reported,
    deliveries on their way, files to be taken in or judged.

    Raises StageError at the end if something could not be removed, naming it; all else is removed then.
    """
    removed: Counter[str] = Counter()
    problems: list[str] = []

    def take(step: Step) -> None:
        counted, failed = step(engine, now, settings())
        removed.update(+counted)
        problems.extend(failed)

    done = one_by_one(STEPS, take, named=lambda step: step.__name__)
    problems += [f"{failure.name}: {failure.why}" for failure in done.failures]
    for name, count in sorted(removed.items()):
        log.info("housekeeping: %d %s removed", count, name.replace("_", " "))
    for problem in problems:
        log.warning("housekeeping: %s", problem)
    if problems:
        named = "; ".join(problem.rstrip(".") for problem in problems[:10])
        raise StageError(
            f"{len(problems)} things could not be removed though their time is over: {named}"
            f"{' …' if len(problems) > 10 else ''}. Mend it, then clear the task; all else is removed."
        )
    return dict(removed)
