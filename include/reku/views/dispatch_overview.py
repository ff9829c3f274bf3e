"""What may keep mails back whatever their order: barred people and domains, rests of mail domains, late collections."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from reku.store.tables import collections, dispatches, rate_limits, suppressions
from reku.views.rows import read


@dataclass(frozen=True)
class SuppressionCount:
    """How many addresses or people of a bank are barred, by kind."""

    institute: str
    kind: str
    people: int


@dataclass(frozen=True)
class SlowDomain:
    """A mail domain that has asked for slower mails (421): how often in a row, and when the next one may go out."""

    institute: str
    domain: str
    slowed: int
    next_at: datetime


@dataclass(frozen=True)
class Collection:
    """When what comes back was last looked through to its end."""

    source: str
    complete_at: datetime


def suppression_counts(engine: sa.Engine) -> list[SuppressionCount]:
    """By bank and kind."""
    c = suppressions.c
    wanted = sa.select(c.institute, c.kind, sa.func.count().label("people")).group_by(c.institute, c.kind)
    with engine.connect() as connection:
        return read(connection, wanted.order_by(c.institute, c.kind), SuppressionCount)


def slow_domains(engine: sa.Engine) -> list[SlowDomain]:
    """Those with at least one 421 in a row, the slowest first."""
    c = rate_limits.c
    wanted = sa.select(c.institute, c.domain, c.slowed, c.next_at).where(c.slowed > 0)
    with engine.connect() as connection:
        return read(connection, wanted.order_by(c.slowed.desc(), c.institute, c.domain), SlowDomain)


def collected(engine: sa.Engine) -> list[Collection]:
    """Of return mails, and of opens and clicks; what was never looked through is not there."""
    wanted = sa.select(collections.c.source, collections.c.complete_at).order_by(collections.c.source)
    with engine.connect() as connection:
        return read(connection, wanted, Collection)


def deliveries_without_session(engine: sa.Engine) -> int:
    """How many deliveries found no session with the mail server at their last try."""
    wanted = sa.select(sa.func.count()).select_from(dispatches).where(dispatches.c.tries_in_vain > 0)
    with engine.connect() as connection:
        return connection.scalar(wanted) or 0
