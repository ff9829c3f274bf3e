"""What has come back is taken in by itself; who needs it uses what is there, and says how old it is.

Anybody on the internet may write to the return address: nobody waits until all of it is read. Opens and clicks are
taken in by the trackers, every second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.dispatch import doubt
from reku.foundation import clock
from reku.foundation.one_by_one import one_by_one
from reku.foundation.settings import settings
from reku.mailbox import mailboxes
from reku.process.answers import Counts, WaitFor, shown
from reku.process.automatic_stop import stop_what_is_taken_badly
from reku.responses import bounces, hits
from reku.store.tables import EVERY_INSTITUTE, collections

RETURN_MAILS = "return_mails"
HITS = "hits"


@dataclass(frozen=True)
class CollectResult:
    """What one look for what has come back came to. `problems`: a sentence for each thing that went wrong."""

    problems: tuple[str, ...] = ()


def collect(engine: sa.Engine) -> CollectResult:
    """Take in return mails, opens and clicks, each for `REKU_COLLECT_SECONDS` at most; the rest is left for the next.

    Then sealed rows of mails leave that were in doubt for too long. May run anywhere, any number of times at once.
    """
    of: dict[str, Callable[[sa.Engine], object]] = {
        RETURN_MAILS: collect_return_mails,
        HITS: collect_hits,
        "mails in doubt": doubt.close_old,
    }
    done = one_by_one(of, lambda source: of[source](engine), named=str)
    return CollectResult(tuple(failure.why for failure in done.failures))


def collect_return_mails(engine: sa.Engine) -> None:
    """Take in what waits in the return mailboxes, and stop what is taken badly. Raises what `collect_all` raises."""
    begun_at = clock.now()
    try:
        if bounces.collect_all(engine, settings().collect_seconds):
            _note_complete(engine, RETURN_MAILS, begun_at)
    finally:  # bounces come by hand-overs as well, whatever a mailbox is like
        stop_what_is_taken_badly(engine)


def collect_hits(engine: sa.Engine) -> None:
    """Take in what the trackers of this machine have noted, and judge what has settled."""
    begun_at = clock.now()
    if hits.take_in(engine, settings().collect_seconds) == 0:
        _note_complete(engine, HITS, begun_at)


def _note_complete(engine: sa.Engine, source: str, begun_at: datetime) -> None:
    noted = insert(collections).values(institute=EVERY_INSTITUTE, source=source, complete_at=begun_at)
    latest = sa.func.greatest(collections.c.complete_at, noted.excluded.complete_at)
    with engine.begin() as connection:
        connection.execute(noted.on_conflict_do_update(index_elements=["source"], set_={"complete_at": latest}))


def collected_until(engine: sa.Engine, source: str = RETURN_MAILS) -> datetime | None:
    """When the last look began that left nothing behind; what has come since may not be in. None: never."""
    with engine.connect() as connection:
        found: datetime | None = connection.scalar(
            sa.select(collections.c.complete_at).where(collections.c.source == source)
        )
        return found


def is_collected(engine: sa.Engine, since: str) -> bool:
    """Whether every return mail that had come by that moment (ISO) is in."""
    until = collected_until(engine)
    return until is not None and until >= datetime.fromisoformat(since)


def wait_for_return_mails(engine: sa.Engine, since: datetime, why: str) -> WaitFor | None:
    """What to wait for until the return mails that had come by a moment are in; None if they are, or none can come.

    Never longer than `REKU_COLLECT_WAIT_SECONDS`: then one goes on with what is there.
    """
    deadline = since + timedelta(seconds=settings().collect_wait_seconds)
    if not mailboxes() or deadline <= clock.now() or is_collected(engine, since.isoformat()):
        return None
    return WaitFor("is_collected", {"since": since.isoformat()}, deadline, f"{why}: return mails are being read", "")


def age_of_return_mails(engine: sa.Engine) -> Counts:
    """Until when return mails are in, to be shown beside what was made of them; nothing without a return mailbox."""
    if not mailboxes():
        return {}
    until = collected_until(engine)
    return {"return_mails_until": shown(until) if until else "never"}
