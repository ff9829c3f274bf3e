"""What has come back is taken in before it is counted, judged or reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from reku.foundation.errors import RekuError
from reku.responses import bounces, hits


def collect_bounces(engine: sa.Engine) -> None:
    """Take in what waits in the return mailboxes that are configured."""
    bounces.collect_all(engine)


def collect_hits(engine: sa.Engine) -> None:
    """Take in what the trackers of this machine have noted, and make events of the opens and clicks of people."""
    hits.take_in(engine)


@contextmanager
def after_collecting(engine: sa.Engine, *collectors: Callable[[sa.Engine], None]) -> Iterator[None]:
    """Take in what has come, then go on; if that failed, it raises all the same, but only when the rest is done.

    What is known already has to be reported: one broken journal or a mailbox that is away must not hold unsubscribes.
    """
    faults: list[RekuError] = []
    for collect in collectors:
        try:
            collect(engine)
        except RekuError as error:
            faults.append(error)
    yield
    if faults:
        raise faults[0]
