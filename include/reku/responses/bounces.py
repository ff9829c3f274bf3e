"""Taking in the return mailboxes: bounces, complaints and answers, from a Maildir and from IMAP alike.

Each mail ends in one of two folders: `gesehen` (dealt with: the evidence of its event) or `ungeklaert` (a person has to
look). Events and evidence are committed before a mail is moved; a crash in between is harmless, since both are unique.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.contact.barring import bar_complained
from reku.foundation import clock
from reku.foundation.one_by_one import Budget, Failure, one_by_one
from reku.mailbox import SEEN, UNCLEAR, Mailbox, mailboxes
from reku.responses.mail_reader import MailReader
from reku.responses.reports import Understood
from reku.store.events import Event, record
from reku.store.kinds import EventKind, ReportKind
from reku.store.locks import Lock, lock_until_commit
from reku.store.tables import messages, past_messages, return_mails

log = logging.getLogger(__name__)

BATCH = 200
"""Mails recorded in one transaction."""

_NO_MESSAGE_OF_OURS = "the token is ours, but the ledger has no such message (any more)"


@dataclass
class BounceReport:
    """How many mails were taken in, and what they were. `known`: the event was recorded already.

    `is_complete`: no mail was left for the next collection.
    """

    mails: int = 0
    hard: int = 0
    soft: int = 0
    unknown: int = 0
    complaints: int = 0
    known: int = 0
    ignored: int = 0
    unclear: int = 0
    is_complete: bool = True


_COUNTED = {
    EventKind.BOUNCED_HARD: "hard",
    EventKind.BOUNCED_SOFT: "soft",
    EventKind.BOUNCED_UNKNOWN: "unknown",
    EventKind.COMPLAINED: "complaints",
}


@dataclass(frozen=True)
class _Read:
    """A mail that was read; its contents are let go, so that memory stays small."""

    key: str
    name: str
    what: Understood


def collect_all(engine: sa.Engine, seconds: float = math.inf) -> bool:
    """Take in every configured return mailbox, for about so many seconds each. One that fails does not stop the others.

    Returns whether no mail that waited was left. Raises the first mailbox's error at the end; further ones are logged.
    """
    reports: list[BounceReport] = []

    def of_mailbox(opened: AbstractContextManager[Mailbox]) -> None:
        with opened as mailbox:
            reports.append(collect(engine, mailbox, Budget(seconds)))

    done = one_by_one(mailboxes(), of_mailbox, named=lambda _: "a return mailbox")
    for other in done.failures[1:]:
        log.error("return mailbox: %s", other.why)
    if done.failures:
        raise done.failures[0].error
    return all(report.is_complete for report in reports)


def collect(engine: sa.Engine, mailbox: Mailbox, budget: Budget | None = None) -> BounceReport:
    """Take in every mail that waits, once through, a few in memory at a time, until the budget is used up.

    Two collectors may run at once. A mail that cannot be understood goes to `ungeklaert` and holds up no other. Raises
    SetupError or PassingError if the mailbox cannot be used; a database error leaves the mails where they are.
    """
    report = BounceReport()
    with MailReader() as reader:
        letters = _read_each(mailbox, reader, budget or Budget(math.inf), report)
        while batch := list(islice(letters, BATCH)):
            _take_in_or_set_aside(engine, mailbox, batch, report)
    if report.mails:
        counts = {name: number for name, number in asdict(report).items() if name != "is_complete"}
        log.info("return mailbox: %s", ", ".join(f"{number} {name}" for name, number in counts.items()))
    if not report.is_complete:
        log.warning("there are more mails in %s than one collection may take; the next one goes on", mailbox.place)
    if report.unclear:
        log.warning("%d mails nobody could make sense of lie in %s of %s", report.unclear, UNCLEAR, mailbox.place)
    return report


def _read_each(mailbox: Mailbox, reader: MailReader, budget: Budget, report: BounceReport) -> Iterator[_Read]:
    """The mails that wait, read; ends early when the budget is used up."""
    for letter in mailbox.waiting():
        if budget.is_used_up():
            report.is_complete = False
            return
        yield _Read(letter.key, letter.name, reader.read(letter.data))


def _take_in_or_set_aside(engine: sa.Engine, mailbox: Mailbox, batch: Sequence[_Read], report: BounceReport) -> None:
    """Take a batch in; if that goes wrong, each mail by itself, and those at fault are filed as unclear.

    Raises what is no mail's own fault: then all of them wait for the next collection.
    """

    def take_in(some: Sequence[_Read]) -> None:
        _take_in(engine, mailbox, some, report)

    if not one_by_one([batch], take_in, named=_named, stops=_is_nobodys_fault).failures:
        return
    alone = one_by_one([[one] for one in batch], take_in, named=_named, stops=_is_nobodys_fault)
    keys = [failure.thing[0].key for failure in alone.failures]
    mailbox.file({UNCLEAR: keys})
    report.mails += len(keys)
    report.unclear += len(keys)


def _named(batch: Sequence[_Read]) -> str:
    return f"{len(batch)} mails of the return mailbox" if len(batch) > 1 else "a mail of the return mailbox"


def _is_nobodys_fault(error: Exception) -> bool:
    return not Failure(None, "", error).is_its_own


def _take_in(engine: sa.Engine, mailbox: Mailbox, batch: Sequence[_Read], report: BounceReport) -> None:
    with engine.begin() as connection:
        lock_until_commit(connection, Lock.BOUNCES)
        known = _messages(connection, {one.what.message for one in batch})
        complained = {one.what.message for one in batch if one.what.is_proven}
        past = _past_messages(connection, complained - known.keys())
        judged = [_in_this_ledger(one, known, past) for one in map(_as_far_as_proven, batch)]
        events = {key: event for key, event in _events(judged) if event.message in known}
        _bar_complaints(connection, judged, known | past)
        new = record(connection, events.values())
        _keep_evidence(connection, judged, known | past, known, events)
    filed: dict[str, list[str]] = defaultdict(list)
    for one in judged:
        filed[UNCLEAR if one.what.kind is ReportKind.UNCLEAR else SEEN].append(one.key)
    mailbox.file(filed)
    report.mails += len(judged)
    report.known += len(events) - new
    report.ignored += sum(one.what.kind is ReportKind.IGNORED for one in judged)
    report.unclear += len(filed[UNCLEAR])
    report.complaints += sum(one.what.message in past for one in judged)
    for event in events.values():
        setattr(report, _COUNTED[event.kind], getattr(report, _COUNTED[event.kind]) + 1)


def _messages(connection: sa.Connection, wanted: set[int]) -> dict[int, Any]:
    """The messages of the ledger that mails are about; retention may not remove them now."""
    c = messages.c
    found = connection.execute(
        sa.select(c.id, c.institute, c.recipient_key, c.person_number)
        .where(c.id.in_([one for one in wanted if 0 < one < 2**63]))
        .with_for_update(read=True, key_share=True)
    )
    return {row.id: row for row in found}


def _past_messages(connection: sa.Connection, wanted: set[int]) -> dict[int, Any]:
    """Whom messages were for that have left by retention: who complains late is barred all the same.

    To be asked after the ledger, so that a message that leaves just now is found in one of the two.
    """
    c = past_messages.c
    found = connection.execute(
        sa.select(c.id, c.institute, c.recipient_key, sa.literal("").label("person_number")).where(
            c.id.in_([one for one in wanted if 0 < one < 2**63])
        )
    )
    return {row.id: row for row in found}


def _as_far_as_proven(one: _Read) -> _Read:
    """Whoever complains without a proof might bar somebody else: a person decides (`responses.unclear_mails`)."""
    if one.what.kind is not ReportKind.COMPLAINT or one.what.is_proven:
        return one
    return replace(one, what=replace(one.what, kind=ReportKind.UNCLEAR))


def _in_this_ledger(one: _Read, known: Mapping[int, Any], past: Mapping[int, Any]) -> _Read:
    """A valid token of a ledger that is not this one is nothing to go by, nor that of a message that has left it.

    A complaint is the exception: it bars, and nothing is reported, since nobody knows the message's Referenz any more.
    """
    if one.what.kind is ReportKind.COMPLAINT and one.what.message in past:
        return one
    aimless = one.what.kind in (ReportKind.IGNORED, ReportKind.UNCLEAR)
    if one.what.message in known or (aimless and not one.what.message):
        return one
    kind = one.what.kind if aimless else ReportKind.UNCLEAR
    return replace(one, what=Understood(kind, why=_NO_MESSAGE_OF_OURS))


def _events(judged: Sequence[_Read]) -> Iterator[tuple[str, Event]]:
    """By the mail's key. One moment for all, so that a batch is in order whatever the mails claim."""
    moment = clock.now()
    for one in judged:
        if one.what.kind is ReportKind.COMPLAINT:
            yield one.key, Event(one.what.message, EventKind.COMPLAINED, moment)
        elif one.what.kind is ReportKind.BOUNCE:
            bounce = one.what.bounce
            yield one.key, Event(one.what.message, EventKind(bounce.bounce_class.event), moment, bounce.status)


def _bar_complaints(connection: sa.Connection, judged: Sequence[_Read], known: Mapping[int, Any]) -> None:
    bar_complained(connection, [known[one.what.message] for one in judged if one.what.kind is ReportKind.COMPLAINT])


def _keep_evidence(
    connection: sa.Connection,
    judged: Sequence[_Read],
    about: Mapping[int, Any],
    known: Mapping[int, Any],
    events: Mapping[str, Event],
) -> None:
    """One entry for each mail and message; a mail that a person has put back is judged anew, by the rules of now.

    Two copies of one mail have one name (IMAP), and one command may touch an entry only once. An entry that is the
    evidence of an event stays it if the mail now says nothing: the event has been recorded.
    """
    rows = {
        (one.what.message, one.name): {
            "institute": about[one.what.message].institute if one.what.message in about else None,
            "message_id": one.what.message if one.what.message in known else None,
            "mail": one.name,
            "meaning": one.what.kind,
            "event": events[one.key].kind if one.key in events else "",
            "status": one.what.bounce.status,
            "why": one.what.why,
            "taken_at": clock.now(),
        }
        for one in judged
    }
    c = return_mails.c
    names = {name for _, name in rows}
    connection.execute(sa.delete(return_mails).where(c.mail.in_(names), c.message_id.is_(None)))
    adding = insert(return_mails).values(list(rows.values()))
    told = adding.excluded
    connection.execute(
        adding.on_conflict_do_update(
            index_elements=["message_id", "mail"],
            set_={name: told[name] for name in ("meaning", "event", "status", "why")},
            where=(c.event == "") | (told.event != ""),
        )
    )
