"""What the links of our mails mean: whose they are, and where they lead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import sqlalchemy as sa

from reku.catalogue.links import link_target
from reku.catalogue.loader import institutes
from reku.store.tables import deliveries, messages, orders, past_messages


@dataclass(frozen=True)
class LinkedMessage:
    """What a link needs to know of its message: neither changes once it is sent."""

    institute: str
    medium: str
    occasion: str = ""


class UnknownTarget(LookupError):
    """A token of ours means a message or delivery that this database has not: it is another's, or has left it."""


def linked_message(engine: sa.Engine, message: int) -> LinkedMessage:
    """What its links need of the message with this id; one that has left by retention has no medium any more.

    Raises UnknownTarget.
    """
    here = sa.select(messages.c.institute, messages.c.medium, messages.c.order_id).where(messages.c.id == message)
    past = sa.select(past_messages.c.institute, sa.literal(""), past_messages.c.order_id).where(
        past_messages.c.id == message
    )
    found = here.union_all(past).subquery()
    row = _only(
        engine,
        sa.select(found.c.institute, found.c.medium, orders.c.occasion).join(orders, orders.c.id == found.c.order_id),
    )
    return LinkedMessage(row.institute, row.medium, row.occasion)


def institute_of(engine: sa.Engine, delivery: int) -> str:
    """Whose the delivery with this id is. Raises UnknownTarget."""
    return str(_only(engine, sa.select(deliveries.c.institute).where(deliveries.c.id == delivery)).institute)


def _only(engine: sa.Engine, wanted: sa.Executable) -> sa.Row[Any]:
    with engine.connect() as connection:
        row = connection.execute(wanted).one_or_none()
    if row is None:
        raise UnknownTarget
    return row


def target_of(institute: str, medium: str, link: int) -> str | None:
    """Where link number `link` of a medium leads at this bank, or None. Raises ConfigError if a file is unreadable."""
    known = institutes()
    return link_target(medium, link, known[institute]) if institute in known else None


def without_query(target: str) -> str:
    """Link_Ziel: scheme, host and path, in ASCII, so that it fits every response file's encoding."""
    parts = urlsplit(target)
    return urlunsplit((parts.scheme, parts.netloc, quote(parts.path, safe="/%:@!$&'()*+,;=~"), "", ""))
