"""Taking in the return mailbox: a Maildir into which bounces, complaints and answers are delivered.

Each mail ends in one of two folders of the Maildir: `.gesehen` (dealt with) or `.ungeklaert` (a person has to look).
Events are committed before a mail is moved; a crash in between is harmless, since every event is unique.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku import clock
from reku.errors import SetupError
from reku.responses.reports import Kind, Understood, understand
from reku.store.events import Event, record
from reku.store.tables import ResponseKind, SuppressionKind, messages, suppressions

log = logging.getLogger(__name__)

SEEN = ".gesehen"
UNCLEAR = ".ungeklaert"
BATCH = 200
"""Mails recorded in one transaction."""

MAX_BYTES = 1_000_000
"""So much of a mail is read; a report stands at its beginning, our own mail with its pictures at its end."""


@dataclass
class BounceReport:
    """How many mails were taken in, and what they were. `known`: the event was recorded already."""

    mails: int = 0
    hard: int = 0
    soft: int = 0
    unknown: int = 0
    complaints: int = 0
    known: int = 0
    ignored: int = 0
    unclear: int = 0


def collect(engine: sa.Engine, maildir: Path) -> BounceReport:
    """Take in every mail in `new/` of the Maildir.

    Two collectors may run at once. A mail that cannot be read goes to `.ungeklaert` and holds up no other. Raises
    SetupError if the Maildir cannot be read or written; a database error leaves the mails where they are.
    """
    report = BounceReport()
    try:
        _prepare(maildir)
        for batch in _batches(maildir):
            _take_in(engine, maildir, batch, report)
    except OSError as error:
        raise SetupError(
            f"The Maildir {maildir} cannot be used: {error.strerror}. Check REKU_BOUNCE_MAILDIR and the permissions "
            "there; no mail is lost, the next collection goes on."
        ) from error
    if report.mails:
        log.info("return mailbox: %s", ", ".join(f"{number} {name}" for name, number in asdict(report).items()))
    if report.unclear:
        log.warning("%d mails nobody could make sense of lie in %s", report.unclear, maildir / UNCLEAR)
    return report


def _prepare(maildir: Path) -> None:
    for folder in (maildir, maildir / SEEN, maildir / UNCLEAR):
        for name in ("tmp", "new", "cur"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    for name in (SEEN, UNCLEAR):
        (maildir / name / "maildirfolder").touch()  # Maildir++: mail programs show the two as folders


def _batches(maildir: Path) -> Iterator[list[Path]]:
    names = sorted(path for path in (maildir / "new").iterdir() if path.is_file())
    for start in range(0, len(names), BATCH):
        yield names[start : start + BATCH]


def _take_in(engine: sa.Engine, maildir: Path, batch: list[Path], report: BounceReport) -> None:
    read = {path: understood for path in batch if (understood := _read(path)) is not None}
    counted = BounceReport()
    with engine.begin() as connection:
        about = {one.message for one in read.values() if 0 < one.message < 2**63}
        known = {
            row.id: row
            for row in connection.execute(
                sa.select(messages.c.id, messages.c.institute, messages.c.address_hmac, messages.c.person_number).where(
                    messages.c.id.in_(about)
                )
            )
        }
        for path, one in read.items():
            if one.message and one.message not in known:
                read[path] = one = Understood(Kind.UNCLEAR)  # a valid token of a ledger that is not this one
            _record(connection, one, known, counted)
    for path, one in read.items():
        _move(path, maildir / (UNCLEAR if one.kind is Kind.UNCLEAR else SEEN))
    for name, number in asdict(counted).items():
        setattr(report, name, getattr(report, name) + number)


def _read(path: Path) -> Understood | None:
    """What the mail means; None if another collector has just taken it."""
    try:
        with path.open("rb") as file:
            return understand(file.read(MAX_BYTES))
    except FileNotFoundError:
        return None


def _record(
    connection: sa.Connection,
    one: Understood,
    known: Mapping[int, Any],
    counted: BounceReport,
) -> None:
    counted.mails += 1
    if one.kind is Kind.UNCLEAR:
        counted.unclear += 1
        return
    if one.kind is Kind.IGNORED:
        counted.ignored += 1
        return
    moment = clock.now()
    if one.kind is Kind.COMPLAINT:
        counted.complaints += 1
        person = known[one.message]
        connection.execute(
            insert(suppressions)
            .values(
                institute=person.institute,
                kind=SuppressionKind.COMPLAINED,
                address_hmac=person.address_hmac,
                person_number=person.person_number,
                source="BESCHWERDE",
                since=moment,
            )
            .on_conflict_do_nothing()
        )
        event = Event(one.message, ResponseKind.BESC, moment)
    else:
        kind = ResponseKind(one.verdict.bounce_class.event)
        name = {ResponseKind.HBOU: "hard", ResponseKind.SBOU: "soft", ResponseKind.UBOU: "unknown"}[kind]
        setattr(counted, name, getattr(counted, name) + 1)
        event = Event(one.message, kind, moment, one.verdict.status)
    if not record(connection, [event]):
        counted.known += 1


def _move(path: Path, folder: Path) -> None:
    """Into the folder: what was dealt with as read, what is unclear as new, so that a mail program shows it."""
    plain = path.name.partition(":")[0]
    target = folder / "new" / plain if folder.name == UNCLEAR else folder / "cur" / f"{plain}:2,S"
    try:
        path.rename(target)
    except FileNotFoundError:
        return  # another collector was faster; its events are these
