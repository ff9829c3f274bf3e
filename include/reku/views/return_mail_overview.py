"""Mails of the return mailboxes: what they were, counted by reason, and those that wait for a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from reku.foundation import clock
from reku.store.tables import messages, return_mails
from reku.views.rows import filters, read

_UNCLEAR = "UNCLEAR"


@dataclass(frozen=True)
class ReturnMailCount:
    """So many mails of an institute that were the same: `institute` "" where no valid token told whose they were."""

    institute: str
    meaning: str
    event: str
    why: str
    mails: int


@dataclass(frozen=True)
class UnclearMail:
    """A mail that waits for a person; `reference` is of the message that it is about, "" where nobody knows."""

    taken_at: datetime
    institute: str
    reference: str
    mail: str
    why: str


def return_mail_counts(engine: sa.Engine, institute: str = "", days: int = 7) -> list[ReturnMailCount]:
    """What was taken in in the last days, by reason: events, what was ignored and what is unclear."""
    c = return_mails.c
    by = (sa.func.coalesce(c.institute, "").label("institute"), c.meaning, c.event, c.why)
    wanted = (
        sa.select(*by, sa.func.count().label("mails"))
        .where(c.taken_at >= clock.now() - timedelta(days=days), *filters((c.institute, institute)))
        .group_by(*by)
        .order_by(c.meaning, sa.desc("mails"), c.why, "institute", c.event)
    )
    with engine.connect() as connection:
        return read(connection, wanted, ReturnMailCount)


def unclear_mails(engine: sa.Engine, institute: str = "") -> list[UnclearMail]:
    """All that nobody has decided about, oldest first."""
    c = return_mails.c
    wanted = (
        sa.select(
            c.taken_at,
            sa.func.coalesce(c.institute, "").label("institute"),
            sa.func.coalesce(messages.c.reference, "").label("reference"),
            c.mail,
            c.why,
        )
        .outerjoin(messages, messages.c.id == c.message_id)
        .where(c.meaning == _UNCLEAR, *filters((c.institute, institute)))
        .order_by(c.taken_at, c.id)
    )
    with engine.connect() as connection:
        return read(connection, wanted, UnclearMail)
