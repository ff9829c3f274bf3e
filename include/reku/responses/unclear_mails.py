"""What people decide about unclear mails: that one is a complaint after all, or that nothing is to be done; audited."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from reku.contact.barring import bar_complained
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.mailbox import SEEN, mailboxes
from reku.store.audit import put_on_record
from reku.store.events import Event, record
from reku.store.kinds import EventKind, ReportKind
from reku.store.tables import messages, return_mails

ACCEPTED = "a person took it for a complaint"
DROPPED = "a person found that nothing is to be done"


def accept_complaint(engine: sa.Engine, mail: str, *, actor: str, note: str) -> str:
    """Take an unclear mail for a complaint about its message: bar the person and report it. Returns the Referenz.

    Raises StageError if no unclear mail has this name, or no token says whose it is.
    """
    with engine.begin() as connection:
        about = _about(connection, mail)
        if about.message_id is None:
            raise StageError(
                "No valid token tells whose mail this complaint is about. If you know the address, bar it by `reku "
                "suppressions bar`; then `reku bounces drop` this mail."
            )
        bar_complained(connection, [about])
        record(connection, [Event(about.message_id, EventKind.COMPLAINED, clock.now())])
        _decide(connection, about, ReportKind.COMPLAINT, ACCEPTED, event=EventKind.COMPLAINED)
        subject = f"complaint about {about.reference}"
        put_on_record(connection, about.institute, actor=actor, action="accept complaint", subject=subject, note=note)
    _file(mail)
    return str(about.reference)


def drop_mail(engine: sa.Engine, mail: str, *, actor: str, note: str) -> None:
    """Close an unclear mail: nothing is to be done about it. Raises StageError if no unclear mail has this name."""
    with engine.begin() as connection:
        about = _about(connection, mail)
        _decide(connection, about, ReportKind.IGNORED, DROPPED)
        subject = f"mail about {about.reference or 'no message of ours'}"
        put_on_record(connection, about.institute, actor=actor, action="drop mail", subject=subject, note=note)
    _file(mail)


def _about(connection: sa.Connection, mail: str) -> Any:
    """The unclear mail's entry, locked, with what its message says of the person."""
    c = return_mails.c
    found = connection.execute(
        sa.select(
            c.id, c.institute, c.message_id, messages.c.recipient_key, messages.c.person_number, messages.c.reference
        )
        .outerjoin(messages, messages.c.id == c.message_id)
        .where(c.mail == mail, c.meaning == ReportKind.UNCLEAR)
        .with_for_update(of=return_mails)
    ).first()
    if found is None:
        raise StageError("No unclear mail has this name. `reku bounces unclear` lists those that wait for a person.")
    return found


def _decide(connection: sa.Connection, about: Any, meaning: ReportKind, why: str, *, event: str = "") -> None:
    connection.execute(
        sa.update(return_mails).where(return_mails.c.id == about.id).values(meaning=meaning, why=why, event=event)
    )


def _file(mail: str) -> None:
    """Out of the unclear ones. A mailbox that fails leaves it there: it has been decided all the same."""
    for opened in mailboxes():
        with opened as mailbox:
            mailbox.refile({mail}, SEEN)
