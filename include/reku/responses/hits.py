"""Opens and clicks: taken in from the trackers, judged when they have settled, and those by people made events of."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from reku.catalogue.bot_rules import bot_rules
from reku.foundation import clock
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings
from reku.responses.bots import Hit, mark_bots
from reku.responses.drain import drain
from reku.responses.links import target_of, without_query
from reku.store.events import Event, record
from reku.store.kinds import EventKind, HitVerdict
from reku.store.locks import Lock, is_locked_until_commit
from reku.store.tables import hits, messages

log = logging.getLogger(__name__)

MESSAGES, HITS = 500, 2_000
"""Messages, and about so many hits of theirs, that are judged in one transaction."""
_LONGEST_TURN = 3600.0
SECONDS = 1.0
"""How long a caller works at what is there before it goes on: whoever clicks, and however often, holds nobody up."""


def take_in(engine: sa.Engine, seconds: float = SECONDS) -> int:
    """Take in what the trackers of this machine have noted, and judge what has settled, for about so many seconds.

    Returns how many hits still wait or have to settle. May run anywhere, any number of times at once; what one leaves
    the next one does, and a tracker does it every second. Raises StageError if a journal cannot be read.
    """
    end = time.monotonic() + seconds
    try:
        drain(engine, settings().hit_journals(), end)
    finally:
        judge_settled(engine, end)  # what is in, whatever may be wrong with one journal
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).where(hits.c.verdict.is_(None))) or 0


def judge_settled(engine: sa.Engine, end: float = math.inf) -> int:
    """Judge every hit older than the settle time, once. Returns how many events came of it.

    Begins nothing more at `end`, by the monotonic clock; one piece is judged in any case, unless another process is at
    it until then.
    """
    limit = clock.now() - timedelta(seconds=settings().hit_settle_seconds)
    events = 0
    while True:
        with engine.begin() as connection:
            if not is_locked_until_commit(connection, Lock.HITS, _left(end)):
                return events
            wanted = _next_messages(connection, limit)
            if not wanted:
                return events
            events += _judge(connection, wanted, limit)
        if time.monotonic() >= end:
            return events


def _left(end: float) -> float:
    return min(max(0.0, end - time.monotonic()), _LONGEST_TURN)


def _next_messages(connection: sa.Connection, limit: datetime) -> list[int]:
    """Messages with settled hits, those with the oldest first."""
    is_settled = sa.and_(hits.c.verdict.is_(None), hits.c.at <= limit)
    oldest = sa.select(hits.c.message_id, hits.c.at).where(is_settled).order_by(hits.c.at).limit(HITS).subquery()
    chosen = (
        sa.select(oldest.c.message_id, sa.func.min(oldest.c.at).label("first"))
        .group_by(oldest.c.message_id)
        .order_by("first", oldest.c.message_id)
        .limit(MESSAGES)
        .subquery()
    )
    counted = connection.execute(
        sa.select(chosen.c.message_id, sa.func.count())
        .join(hits, sa.and_(hits.c.message_id == chosen.c.message_id, is_settled))
        .group_by(chosen.c.message_id, chosen.c.first)
        .order_by(chosen.c.first, chosen.c.message_id)
    )
    wanted: list[int] = []
    before = 0
    for message, own in counted:
        if before >= HITS:
            break
        wanted.append(message)
        before += own
    return wanted


def _judge(connection: sa.Connection, wanted: Sequence[int], limit: datetime) -> int:
    oldest = (
        sa.select(hits.c.message_id, sa.func.min(hits.c.at).label("at"))
        .where(hits.c.message_id.in_(wanted), hits.c.verdict.is_(None))
        .group_by(hits.c.message_id)
        .subquery()
    )
    found = connection.execute(
        sa.select(hits, messages.c.medium, messages.c.begun_at)
        .join(messages, messages.c.id == hits.c.message_id)
        .join(oldest, oldest.c.message_id == hits.c.message_id)
        # those judged before bear on the verdict as well
        .where(hits.c.at >= oldest.c.at - bot_rules().reach)
        .order_by(hits.c.message_id, hits.c.at, hits.c.id)
    ).all()
    verdicts, events = [], []
    target = cache(_target)
    for _, rows in groupby(found, key=lambda row: row.message_id):
        of_message = list(rows)
        seen = [Hit(kind=row.kind, at=row.at, link=row.link_number or 0, agent=row.agent) for row in of_message]
        for row, rule in zip(of_message, mark_bots(seen, of_message[0].begun_at), strict=True):
            if row.verdict is not None or row.at > limit:
                continue
            verdict = HitVerdict.MACHINE if rule else HitVerdict.PERSON
            verdicts.append({"hit": row.id, "verdict": verdict, "rule": rule})
            if verdict is HitVerdict.PERSON or settings().report_bots:
                events.append(_event(row, target))
    connection.execute(
        sa.update(hits)
        .where(hits.c.id == sa.bindparam("hit"))
        .values(verdict=sa.bindparam("verdict"), rule=sa.bindparam("rule")),
        verdicts,
    )
    return record(connection, events)


def _event(row: Any, target: Callable[[str, str, int], str]) -> Event:
    # Files carry seconds: the same reaction replayed within one is the same event.
    moment, kind = row.at.replace(microsecond=0), EventKind(row.kind)
    if kind is EventKind.OPENED:
        return Event(row.message_id, kind, moment)
    link_target = target(row.institute, row.medium, row.link_number)
    return Event(row.message_id, kind, moment, link_number=row.link_number, link_target=link_target)


def _target(institute: str, medium: str, link: int) -> str:
    """Link_Ziel; empty where the link or the bank has left the configuration: the click counts all the same."""
    try:
        return without_query(target_of(institute, medium, link) or "")
    except ConfigError as error:
        log.warning("Clicks are reported without their target: %s", error)
        return ""
