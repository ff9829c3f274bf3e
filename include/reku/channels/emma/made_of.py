"""What is made of what EMMA tells: states of the ledger, normalised events, and bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.catalogue.bounce_rules import classify_bounce
from reku.catalogue.institute import UnsubscribeScope
from reku.channels.emma.answers import Row
from reku.channels.emma.outcome import Withheld, reason_of, record_sent, record_withheld
from reku.contact.barring import bar_complained
from reku.foundation import clock
from reku.foundation.settings import settings
from reku.responses.bots import Hit, mark_bots
from reku.responses.links import without_query
from reku.responses.pages import bank_of
from reku.store.events import Event, record
from reku.store.kinds import EventKind, SuppressionKind, SuppressionSource, UnsubscribedFrom
from reku.store.tables import suppressions

About = Sequence[tuple[Row, datetime, sa.Row[Any]]]
"""New rows with their moments and their messages."""

_LARGEST_LINK = 2**31


def make_events(connection: sa.Connection, call: str, about: About) -> None:
    """Make of new rows of a call what they mean, in the caller's transaction.

    Moments are EMMA's; only of the ledger none lies in the future, since EMMA's clock may be wrong.
    """
    if about:
        _MAKERS[call](connection, about)


def _sent(connection: sa.Connection, about: About) -> None:
    now = clock.now()
    record_sent(connection, {message.id: min(at, now) for _, at, message in about})


def _not_sent(connection: sa.Connection, about: About) -> None:
    now = clock.now()
    withheld = [Withheld(message.id, reason_of(row.reason), min(at, now), row.reason) for row, at, message in about]
    record_withheld(connection, withheld)


def _bounced(connection: sa.Connection, about: About) -> None:
    record(connection, [Event(message.id, *_bounce(row, at)) for row, at, message in about])


def _bounce(row: Row, at: datetime) -> tuple[EventKind, datetime, str]:
    """Hard or soft by its code; where that says nothing, by EMMA's own word."""
    decision = classify_bounce(row.code, "")
    kind = EventKind(decision.bounce_class.event or EventKind.BOUNCED_UNKNOWN)
    if kind is EventKind.BOUNCED_UNKNOWN:
        kind = {"hard": EventKind.BOUNCED_HARD, "soft": EventKind.BOUNCED_SOFT}.get(row.type, kind)
    return kind, at, decision.status


def _hits(kind: EventKind) -> Callable[[sa.Connection, About], None]:
    def make(connection: sa.Connection, about: About) -> None:
        record(connection, [_hit(kind, *one) for one in about if settings().report_bots or not _is_bot(kind, *one)])

    return make


def _is_bot(kind: EventKind, row: Row, at: datetime, message: sa.Row[Any]) -> bool:
    """Whether the User-Agent is a machine's; without one nobody can tell."""
    if row.userAgent is None:
        return False
    return any(mark_bots([Hit(kind, at, 1 if row.link else 0, row.userAgent[:200])], message.begun_at))


def _hit(kind: EventKind, row: Row, at: datetime, message: sa.Row[Any]) -> Event:
    if row.link is None:
        return Event(message.id, kind, at)
    number = int(row.link.id) if str(row.link.id).isdecimal() and int(row.link.id) < _LARGEST_LINK else None
    return Event(message.id, kind, at, link_number=number, link_target=without_query(row.link.url))


def _opted_out(connection: sa.Connection, about: About) -> None:
    """Bar who has unsubscribed in EMMA, and tell of it; not again what is barred here already."""
    of = suppressions.c
    scope = bank_of(about[0][2].institute).scope
    scoped = UnsubscribedFrom.ORDER if scope is UnsubscribeScope.ORDER else UnsubscribedFrom.INSTITUTE
    for _, at, message in sorted(about, key=lambda one: int(one[2].id)):
        barred = sa.exists().where(
            of.institute == message.institute,
            of.recipient_key == message.recipient_key,
            of.order_id.is_(None) | (of.order_id == message.order_id),
        )
        if connection.scalar(sa.select(barred)):  # by ourselves, and carried there
            continue
        new = connection.scalar(
            insert(suppressions)
            .values(
                institute=message.institute,
                kind=SuppressionKind.UNSUBSCRIBED,
                recipient_key=message.recipient_key,
                person_number=message.person_number,
                order_id=message.order_id if scoped is UnsubscribedFrom.ORDER else None,
                source=SuppressionSource.LINK,
                since=clock.now(),
            )
            .on_conflict_do_nothing()
            .returning(of.id)
        )
        if new is not None:
            record(connection, [Event(message.id, EventKind.UNSUBSCRIBED, at, SuppressionSource.LINK, scoped)])


def _complained(connection: sa.Connection, about: About) -> None:
    bar_complained(connection, [message for *_, message in about])
    record(connection, [Event(message.id, EventKind.COMPLAINED, at) for _, at, message in about])


_MAKERS: Mapping[str, Callable[[sa.Connection, About], None]] = {
    "getRecipientsByEmailId": _sent,
    "getBouncesByEmailId": _bounced,
    "getOpeningsByEmailId": _hits(EventKind.OPENED),
    "getClicksByEmailId": _hits(EventKind.CLICKED),
    "getOptouts": _opted_out,
    "exportHistory notsent": _not_sent,
    "exportHistory complaint": _complained,
}
"""By call, what is made of its rows."""
