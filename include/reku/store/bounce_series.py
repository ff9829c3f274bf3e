"""Hard bounces in a row of an address, derived from the ledger and the responses.

Told in docs/domain.md, "Hard bounces in a row".

Nothing is counted up anywhere: the series is read from the outcomes in order of sending, per institute and address
HMAC, so that a late or repeated report cannot distort it. A hard bounce counts one, at most once per delivery; an open,
a click or a mail without bounce within the grace sets the series back, and so does a person who lets the address be
written to again; soft, blocked and unknown bounces leave it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from reku.foundation import clock
from reku.store.kinds import BOUNCES, HITS, EventKind
from reku.store.states import MessageState
from reku.store.tables import messages, reactivations, responses

RETAINED_AT = 3
"""Length of the series at which an address is withheld."""

GRACE = timedelta(hours=72)
"""A mail without a bounce for so long counts as delivered."""


def series(connection: sa.Connection, institute: str, hmacs: Collection[str]) -> dict[str, int]:
    """Hard bounces in a row, by address HMAC; an address whose series is 0 is left out."""
    counted = _series(_one_of(hmacs), institute, clock.now())
    return {row.recipient_key: row.length for row in connection.execute(counted)}


def _one_of(hmacs: Collection[str]) -> sa.ColumnElement[bool]:
    # as one array: a statement takes no more than 65,535 parameters
    return messages.c.recipient_key == sa.any_(sa.cast(list(hmacs), ARRAY(sa.Text)))


def retained_addresses(institute: str) -> sa.Select[tuple[str]]:
    """A select of the HMACs of all addresses that the institute may not write to any more."""
    candidates = (
        sa.select(messages.c.recipient_key)
        .join(responses, responses.c.message_id == messages.c.id)
        .where(responses.c.institute == institute, responses.c.kind == EventKind.BOUNCED_HARD)
        .group_by(messages.c.recipient_key)
        .having(sa.func.count(messages.c.delivery_id.distinct()) >= RETAINED_AT)
    )
    counted = _series(messages.c.recipient_key.in_(candidates), institute, clock.now()).subquery()
    return sa.select(counted.c.recipient_key).where(counted.c.length >= RETAINED_AT)


def length_at(message: sa.FromClause) -> sa.ScalarSelect[int]:
    """The series of the address of `message` (the table or an alias) as it stood at this message, itself included.

    A correlated subquery for use in a statement over `message`.
    """
    moment = clock.now()
    hard, later = messages.alias("hard"), messages.alias("later")
    reset = (
        sa.exists()
        .where(_same_address(later, message), _delivered(later, moment))
        .where(_position(later) > _position(hard), _position(later) <= _position(message))
        .correlate(hard, message)
    )
    return (
        sa.select(sa.func.count(hard.c.delivery_id.distinct()))
        .where(_same_address(hard, message), _hard(hard), _position(hard) <= _position(message), ~reset)
        .where(~_forgiven(hard, before=_moment(message)).correlate(hard, message))
        .correlate(message)
        .scalar_subquery()
    )


def _series(which: sa.ColumnElement[bool], institute: str, moment: datetime) -> sa.Select[tuple[str, int]]:
    resets_since = sa.func.sum(sa.cast(_delivered(messages, moment), sa.Integer)).over(
        partition_by=messages.c.recipient_key, order_by=(messages.c.begun_at.desc(), messages.c.id.desc())
    )
    outcomes = (
        sa.select(
            messages.c.recipient_key,
            messages.c.delivery_id,
            _hard(messages).label("hard"),
            resets_since.label("resets_since"),
        )
        .where(messages.c.institute == institute, messages.c.begun_at.is_not(None), which, ~_forgiven(messages))
        .subquery()
    )
    return (
        sa.select(outcomes.c.recipient_key, sa.func.count(outcomes.c.delivery_id.distinct()).label("length"))
        .where(outcomes.c.hard, outcomes.c.resets_since == 0)
        .group_by(outcomes.c.recipient_key)
    )


def _position(message: sa.FromClause) -> sa.Tuple:
    """The place of a message in the order of sending; one never begun stands where it was withheld."""
    return sa.tuple_(_moment(message), message.c.id)


def _moment(message: sa.FromClause) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(message.c.begun_at, message.c.ended_at)


def _same_address(one: sa.FromClause, other: sa.FromClause) -> sa.ColumnElement[bool]:
    return (one.c.institute == other.c.institute) & (one.c.recipient_key == other.c.recipient_key)


def _forgiven(message: sa.FromClause, before: sa.ColumnElement[Any] | None = None) -> sa.Exists:
    """Whether a person has let the address be written to again after this mail (and before that moment)."""
    found = sa.exists().where(
        reactivations.c.institute == message.c.institute,
        reactivations.c.recipient_key == message.c.recipient_key,
        reactivations.c.at >= message.c.begun_at,
    )
    return found.correlate(message) if before is None else found.where(reactivations.c.at < before)


def _has(message: sa.FromClause, kinds: Collection[EventKind]) -> sa.ColumnElement[bool]:
    found = sa.exists().where(responses.c.message_id == message.c.id, responses.c.kind.in_(kinds))
    return found.correlate(message)


def _delivered(message: sa.FromClause, moment: datetime) -> sa.ColumnElement[bool]:
    silent = sa.and_(
        message.c.state == MessageState.SENT, message.c.begun_at <= moment - GRACE, ~_has(message, BOUNCES)
    )
    return sa.or_(_has(message, HITS), silent)


def _hard(message: sa.FromClause) -> sa.ColumnElement[bool]:
    return _has(message, (EventKind.BOUNCED_HARD,))
