"""Opens and clicks: taken in from the trackers, judged when they have settled, and those by people made events of."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
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
from reku.store.locks import Lock, lock_until_commit
from reku.store.tables import hits, messages

log = logging.getLogger(__name__)

MESSAGES = 500
"""Messages whose hits are judged in one transaction."""


def take_in(engine: sa.Engine) -> int:
    """Take in what the trackers of this machine have noted, and judge what has settled.

    Returns how many hits still have to settle. May run anywhere, any number of times at once. Raises StageError if a
    journal cannot be read.
    """
    try:
        drain(engine, settings().hit_journals())
    finally:
        judge_settled(engine)  # what is in, whatever may be wrong with one journal
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).where(hits.c.verdict.is_(None))) or 0


def judge_settled(engine: sa.Engine) -> int:
    """Judge every hit older than the settle time, once. Returns how many events came of it."""
    limit = clock.now() - timedelta(seconds=settings().hit_settle_seconds)
    events = 0
    while True:
        with engine.begin() as connection:
            lock_until_commit(connection, Lock.HITS)
            settled = sa.select(hits.c.message_id).where(hits.c.verdict.is_(None), hits.c.at <= limit)
            wanted = connection.scalars(settled.distinct().limit(MESSAGES)).all()
            if not wanted:
                return events
            events += _judge(connection, wanted, limit)


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
    for _, rows in groupby(found, key=lambda row: row.message_id):
        of_message = list(rows)
        seen = [Hit(kind=row.kind, at=row.at, link=row.link_number or 0, agent=row.agent) for row in of_message]
        for row, rule in zip(of_message, mark_bots(seen, of_message[0].begun_at), strict=True):
            if row.verdict is not None or row.at > limit:
                continue
            verdict = HitVerdict.MACHINE if rule else HitVerdict.PERSON
            verdicts.append({"hit": row.id, "verdict": verdict, "rule": rule})
            if verdict is HitVerdict.PERSON or settings().report_bots:
                events.append(_event(row))
    connection.execute(
        sa.update(hits)
        .where(hits.c.id == sa.bindparam("hit"))
        .values(verdict=sa.bindparam("verdict"), rule=sa.bindparam("rule")),
        verdicts,
    )
    return record(connection, events)


def _event(row: Any) -> Event:
    # Files carry seconds: the same reaction replayed within one is the same event.
    moment, kind = row.at.replace(microsecond=0), EventKind(row.kind)
    if kind is EventKind.OPENED:
        return Event(row.message_id, kind, moment)
    return Event(row.message_id, kind, moment, link_number=row.link_number, link_target=_target(row))


def _target(row: Any) -> str:
    """Link_Ziel; empty where the link or the bank has left the configuration: the click counts all the same."""
    try:
        return without_query(target_of(row.institute, row.medium, row.link_number) or "")
    except ConfigError as error:
        log.warning("A click is reported without its target: %s", error)
        return ""
