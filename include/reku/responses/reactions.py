"""Opens, clicks and unsubscribes: what each of them writes, in one transaction each.

Every function commits before it returns, so that whoever got an answer is on record (DESIGN section 6.11).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, urlsplit, urlunsplit

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku import clock
from reku.catalogue.institute import UnsubscribeScope
from reku.catalogue.links import link_target
from reku.catalogue.loader import institutes
from reku.store.events import Event, record
from reku.store.tables import ResponseKind, SuppressionKind, messages, response_counts, suppressions


class By(StrEnum):
    """How somebody unsubscribed (Grund_Code of ABME)."""

    LINK = "LINK"  # the button of our page
    ONE_CLICK = "EINKLICK"  # RFC 8058: the mailbox provider's button


_REPORTED_SCOPE = {UnsubscribeScope.ORDER: "LISTE", UnsubscribeScope.INSTITUTE: "ALLE"}


@dataclass(frozen=True)
class Mail:
    """The message of the ledger that a token means."""

    id: int
    institute: str
    order_id: int
    delivery_id: int
    medium: str
    tracking: bool


def find(engine: sa.Engine, message: int) -> Mail | None:
    """The message with this id, or None."""
    with engine.connect() as connection:
        return _find(connection, message)


def opened(engine: sa.Engine, mail: Mail) -> None:
    """Record that the mail was opened: the person's event with tracking consent, otherwise a count of the delivery."""
    with engine.begin() as connection:
        _note(connection, mail, ResponseKind.OEFF)


def target_of(mail: Mail, link: int) -> str | None:
    """Where link number `link` of the mail's medium leads, or None. Raises ConfigError if a file cannot be read."""
    known = institutes()
    return link_target(mail.medium, link, known[mail.institute]) if mail.institute in known else None


def clicked(engine: sa.Engine, mail: Mail, link: int, target: str) -> None:
    """Record a click on a link, like `opened`. The target is kept without query and fragment (domain.md 9.6)."""
    parts = urlsplit(target)
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~")  # ASCII, so that it fits every encoding of the response file
    with engine.begin() as connection:
        _note(connection, mail, ResponseKind.KLIC, link, urlunsplit((parts.scheme, parts.netloc, path, "", "")))


def unsubscribe(engine: sa.Engine, mail: Mail, by: By, scope: UnsubscribeScope) -> None:
    """Bar the address and the person of this mail, from its order or from everything; again changes nothing."""
    moment = clock.now()
    with engine.begin() as connection:
        person = connection.execute(
            sa.select(messages.c.address_hmac, messages.c.person_number).where(messages.c.id == mail.id)
        ).one()
        connection.execute(
            insert(suppressions)
            .values(
                institute=mail.institute,
                kind=SuppressionKind.UNSUBSCRIBED,
                address_hmac=person.address_hmac,
                person_number=person.person_number,
                order_id=mail.order_id if scope is UnsubscribeScope.ORDER else None,
                source=by,
                since=moment,
            )
            .on_conflict_do_nothing()
        )
        record(connection, [Event(mail.id, ResponseKind.ABME, moment, by, _REPORTED_SCOPE[scope])])


def _find(connection: sa.Connection, message: int) -> Mail | None:
    if not 0 < message < 2**63:
        return None
    row = connection.execute(
        sa.select(
            messages.c.id,
            messages.c.institute,
            messages.c.order_id,
            messages.c.delivery_id,
            messages.c.medium,
            messages.c.tracking,
        ).where(messages.c.id == message)
    ).one_or_none()
    return Mail(*row) if row else None


def _note(connection: sa.Connection, mail: Mail, kind: ResponseKind, link: int | None = None, target: str = "") -> None:
    if mail.tracking:
        # Files carry seconds: the same reaction replayed within one is the same event.
        moment = clock.now().replace(microsecond=0)
        record(connection, [Event(mail.id, kind, moment, link_number=link, link_target=target)])
        return
    counted = insert(response_counts).values(
        institute=mail.institute, delivery_id=mail.delivery_id, kind=kind, link_number=link or 0, count=1
    )
    connection.execute(
        counted.on_conflict_do_update(
            index_elements=["delivery_id", "kind", "link_number"], set_={"count": response_counts.c.count + 1}
        )
    )
