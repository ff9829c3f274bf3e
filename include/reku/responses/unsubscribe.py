"""Unsubscribing: many people at once in one transaction.

What an unsubscribe means: docs/domain.md, "Unsubscribing with one click".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import NamedTuple

import sqlalchemy as sa

from reku.catalogue.institute import UnsubscribeScope
from reku.contact.barring import bar_unsubscribed
from reku.foundation import clock
from reku.responses.pages import bank_of
from reku.store.events import Event, record
from reku.store.kinds import EventKind, SuppressionSource, UnsubscribedFrom
from reku.store.tables import messages, past_messages


class UnsubscribeWay(StrEnum):
    """How somebody unsubscribed by a link of a mail."""

    LINK = SuppressionSource.LINK.value
    ONE_CLICK = SuppressionSource.ONE_CLICK.value


class Wish(NamedTuple):
    """`message`: id of the mail whose link was used. `everything`: from all the bank's mails, whatever its scope."""

    message: int
    by: UnsubscribeWay
    everything: bool = False


_UNSUBSCRIBED_FROM = {
    UnsubscribeScope.ORDER: UnsubscribedFrom.ORDER,
    UnsubscribeScope.INSTITUTE: UnsubscribedFrom.INSTITUTE,
}


def unsubscribe(engine: sa.Engine, wishes: Sequence[Wish]) -> list[str | None]:
    """Bar the address and the person of each mail, from its order or from everything; again changes nothing.

    All of it is committed when this returns: for each the institute, or None if there is no such message. Of a message
    that has left by retention the address is barred, and nothing is reported: nobody knows its Referenz any more.
    """
    moment = clock.now()
    ids = {wish.message for wish in wishes if 0 < wish.message < 2**63}
    with engine.begin() as connection:
        # One person's message may be held for long, by an erasure: nobody else waits for it.
        connection.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
        here = _whose(connection, messages, ids)
        whose = here | _whose(connection, past_messages, ids - here.keys())
        scopes = {institute: bank_of(institute).scope for institute in set(whose.values())}
        first = {wish.message: wish.by for wish in reversed(wishes) if wish.message in whose}
        wide = {wish.message for wish in wishes if wish.everything}
        scope_of = {id_: UnsubscribeScope.INSTITUTE if id_ in wide else scopes[whose[id_]] for id_ in first}
        from_what = {id_: _UNSUBSCRIBED_FROM[scope_of[id_]] for id_ in first}
        bar_unsubscribed(connection, {id_: (by, from_what[id_]) for id_, by in first.items()}, moment)
        record(
            connection,
            [
                Event(id_, EventKind.UNSUBSCRIBED, moment, by, from_what[id_])
                for id_, by in first.items()
                if id_ in here
            ],
        )
    return [whose.get(wish.message) for wish in wishes]


def _whose(connection: sa.Connection, table: sa.Table, ids: Collection[int]) -> dict[int, str]:
    """The institute of each message that the table has. It does not leave meanwhile by retention."""
    wanted = sa.select(table.c.id, table.c.institute).where(table.c.id.in_(ids)).order_by(table.c.id)
    held = connection.execute(wanted.with_for_update(key_share=True, read=True))
    return {row.id: row.institute for row in held}
