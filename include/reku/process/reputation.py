"""Whether today's mails of a bank come back, or are called spam, more often than large providers put up with."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import sqlalchemy as sa

from reku.foundation import clock
from reku.store.kinds import EventKind
from reku.views.day_figures import events_since

HARD_BOUNCES = (0.02, 0.05)
"""Share of today's mails that came back for good: from where on somebody should look, and from where on stop."""
COMPLAINTS = (0.001, 0.003)
"""The same of complaints."""
LEAST_BOUNCES, LEAST_COMPLAINTS = 5, 2
"""With fewer it is chance."""


@dataclass(frozen=True)
class BadSending:
    """A bank's mails of today; `is_grave`: no more should go out before somebody has looked."""

    institute: str
    sent: int
    hard: int
    complaints: int
    is_grave: bool


def bad_sendings(connection: sa.Connection) -> list[BadSending]:
    """The banks whose mails of today are taken badly, by BLZ."""
    by_bank: defaultdict[str, Counter[EventKind]] = defaultdict(Counter)
    for event in events_since(connection, clock.at(clock.today())):
        by_bank[event.institute][event.kind] += event.count
    judged = (_judged(institute, counts) for institute, counts in sorted(by_bank.items()))
    return [bad for bad in judged if bad is not None]


def _judged(institute: str, counts: Counter[EventKind]) -> BadSending | None:
    sent = counts[EventKind.SENT]
    hard, complaints = counts[EventKind.BOUNCED_HARD], counts[EventKind.COMPLAINED]
    shares = [
        (limits, count / max(sent, 1))
        for limits, count, least in ((HARD_BOUNCES, hard, LEAST_BOUNCES), (COMPLAINTS, complaints, LEAST_COMPLAINTS))
        if count >= least
    ]
    if not any(share >= warn for (warn, _), share in shares):
        return None
    return BadSending(institute, sent, hard, complaints, any(share >= grave for (_, grave), share in shares))
