"""Erase a person: what must go goes, what honours an objection or counts stays as keyed hash (Art. 17, 21 GDPR).

All tables change in one transaction, under the institute's lock, so that no file moves meanwhile. The originals follow;
a run that dies between the two is completed by the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.bank_folders import BankFolders, Folder
from reku.foundation.errors import StageError
from reku.mailbox import mailboxes
from reku.privacy import person_rows
from reku.privacy.person import FileOfPerson, Person, everything
from reku.privacy.pseudonym import in_ledger, of_person
from reku.store.audit import put_on_record
from reku.store.events import Event, record
from reku.store.kinds import EventKind
from reku.store.locks import Lock, session_lock
from reku.store.states import DELIVERY_IS_ON_ITS_WAY, MAY_BE_STOPPED, MessageState
from reku.store.tables import (
    appointments,
    audit,
    contacts,
    deliveries,
    delivery_rows,
    emma_events,
    files,
    hits,
    holdings,
    imported_appointments,
    impulses,
    messages,
    person_addresses,
    person_numbers,
    persons,
    prepared_rows,
    return_mails,
    selected_rows,
    subscribers,
    told_core_fields,
)
from reku.store.unreported import hold_exports, waiting
from reku.vault.day_keys import destroy_unused
from reku.vault.pseudonyms import name_in_tables

ACTION = "erase person"
STOPPED = "GESTOPPT"
"""Grund_Code of a message that a person has stopped."""
WAIT_SECONDS = 60.0

_IMPORTED = (persons, person_addresses, person_numbers, holdings, imported_appointments, impulses)
_GOES = (subscribers, delivery_rows, selected_rows, prepared_rows, told_core_fields, contacts, appointments, *_IMPORTED)
_UNCHANGED = "Nothing is erased."


@dataclass(frozen=True)
class Receipt:
    """What was done, without personal data. `person`: a keyed pseudonym. `removed`: rows by table and file.

    `stopped`: open messages that will not be sent. `kept`: what stays, how much of it and why.
    """

    institute: str
    person: str
    erased_at: datetime
    actor: str
    note: str
    stopped: int
    removed: list[dict[str, Any]]
    kept: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def erase(engine: sa.Engine, institute: str, number: str, *, actor: str, note: str) -> Receipt:
    """Erase the person with this number (leading zeros kept). Again it finds nothing more and changes nothing.

    Raises StageError, with nothing changed: if nothing is or was kept of such a person; while a file with the person is
    still to be taken in or judged, a delivery on its way, a message in a dispatcher's hands or in doubt; while events
    of the person are not reported yet; if the note names the person; if intake holds the institute for more than a
    minute. A return mailbox with mails about the person that does not let us in raises SetupError or PassingError, with
    nothing changed but those mails. Raises StageError too if an original could not be rewritten: the tables are done
    then, and the next run does the rest.
    """
    if number in note:
        raise StageError(f"The note is kept in the audit and must not name the person. {_UNCHANGED}")
    with session_lock(engine, Lock.FILES, int(institute), wait_seconds=WAIT_SECONDS) as connection:
        if connection is None:
            raise StageError(f"A scan of institute {institute} is at work. Try again when it is done. {_UNCHANGED}")
        with connection.begin():
            person = everything(connection, institute, number)
            _check_known(connection, person, number)
            _check_files(connection, person)
            stopped, own = _erase_rows(connection, person, name_in_tables(connection, institute, number))
            destroy_unused(connection, institute)
            mails = _erase_mails(connection, own)  # last: if a mailbox fails, nothing else is erased either
            pseudonym = of_person(institute, number)
            put_on_record(connection, institute, actor=actor, action=ACTION, subject=f"person:{pseudonym}", note=note)
        cut = [one for one in person.files if one.kept.folder in (Folder.ARCHIVE, Folder.FAULTY)]
        _cut(institute, cut, number)
    return Receipt(
        institute, pseudonym, clock.now(), actor, note, stopped, _removed(person, mails, cut), _kept(person, pseudonym)
    )


def _check_known(connection: sa.Connection, person: Person, number: str) -> None:
    erased_before = sa.exists().where(
        audit.c.institute == person.institute,
        audit.c.action == ACTION,
        audit.c.subject == f"person:{of_person(person.institute, number)}",
    )
    if not person.is_known and not connection.scalar(sa.select(erased_before)):
        raise StageError(
            f"Nothing is kept of a person with this number at institute {person.institute}, and nobody with it was "
            "erased. Numbers count with their leading zeros, as the bank delivers them."
        )


def _check_files(connection: sa.Connection, person: Person) -> None:
    """Refuse while a file with the person is still needed as it arrived."""
    arriving = [one.kept.path for one in person.files if one.kept.folder in (Folder.INBOX, Folder.AT_WORK)]
    if arriving:
        raise StageError(
            f"The person stands in files that are still to be taken in: {', '.join(arriving)}. {_UNCHANGED} Try again "
            "after the next intake, and the run of their occasion."
        )
    paths = [one.kept.path for one in person.files]
    ids = {row["delivery_id"] for row in person.tables["delivery_rows"]}
    on_their_way = connection.execute(
        sa.select(deliveries.c.id, deliveries.c.state)
        .outerjoin(files, files.c.id == deliveries.c.file_id)
        .where(deliveries.c.institute == person.institute, deliveries.c.state.in_(DELIVERY_IS_ON_ITS_WAY))
        .where(files.c.stored_as.in_(paths) | deliveries.c.id.in_(ids))
        .order_by(deliveries.c.id)
    ).all()
    if on_their_way:
        named = ", ".join(f"{row.id} ({row.state})" for row in on_their_way)
        raise StageError(
            f"The person stands in deliveries that are still to be judged or loaded: {named}. {_UNCHANGED} Try again "
            "when they are loaded, declined or refused."
        )
    parked = [one.kept.path for one in person.files if one.kept.folder == Folder.PARKED]
    if parked:
        raise StageError(
            f"The person stands in parked files: {', '.join(parked)}. {_UNCHANGED} They wait for a control file; have "
            "it sent, or take the files away."
        )


def _erase_rows(connection: sa.Connection, person: Person, number: str) -> tuple[int, list[int]]:
    """Stop what is open, then take the person out of all tables.

    Returns how many messages were stopped, and the ids of all the person's messages, which are locked now.
    """
    hold_exports(connection, person.institute)
    own = (messages.c.institute == person.institute) & (messages.c.person_number == number)
    rows = connection.execute(
        sa.select(messages.c.id, messages.c.delivery_id, messages.c.state)
        .where(own)
        .order_by(messages.c.id)
        .with_for_update()
    ).all()
    _check_messages(rows)
    if unreported := len(connection.execute(waiting(own)).all()):
        raise StageError(
            f"{unreported} events of the person are not reported to the core system yet, which needs the person number "
            f"for it. {_UNCHANGED} Let the daily response file be written first (DAG reku_feedback), then try again."
        )
    moment = clock.now()
    open_ones = [row.id for row in rows if row.state in MAY_BE_STOPPED]
    connection.execute(
        sa.update(messages)
        .where(messages.c.id.in_(open_ones))
        .values(state=MessageState.WITHHELD, reason=STOPPED, reasons=[STOPPED], ended_at=moment, retry_at=None)
    )
    record(connection, [Event(id_, EventKind.NOT_SENT, moment, STOPPED) for id_ in open_ones])
    for table in (hits, emma_events):
        connection.execute(sa.delete(table).where(table.c.message_id.in_([row.id for row in rows])))
    for table in _GOES:
        connection.execute(
            sa.delete(table).where(table.c.institute == person.institute, table.c.person_number == number)
        )
    for delivery in {row.delivery_id for row in rows}:
        # without consent to tracking, opens and clicks of old mails are counted from now on and nobody is named
        pseudonym = in_ledger(person.institute, number, delivery)
        connection.execute(
            sa.update(messages)
            .where(own, messages.c.delivery_id == delivery)
            .values(person_number=pseudonym, tracking=False)
        )
    return len(open_ones), [row.id for row in rows]


def _erase_mails(connection: sa.Connection, own: list[int]) -> dict[str, int]:
    """Mails of the return mailbox about the person's messages, and the entries that lead to them. Returns how many.

    The messages are locked, so no collector adds a mail any more; one may have since the person was looked up.
    """
    names = connection.scalars(
        sa.delete(return_mails).where(return_mails.c.message_id.in_(own)).returning(return_mails.c.mail)
    ).all()
    removed = 0
    for opened in mailboxes() if names else ():
        with opened as mailbox:
            removed += mailbox.remove(set(names))
    return {"table return_mails": len(names), "mails in the return mailbox": removed}


def _check_messages(rows: Sequence[Any]) -> None:
    for state, advice in {
        MessageState.CLAIMED: "is being dispatched. Try again when the dispatch has ended",
        MessageState.IN_DOUBT: "is in doubt. Close it first with `reku messages resolve`",
    }.items():
        held = [row for row in rows if row.state == state]
        if held:
            named = ", ".join(sorted({str(row.delivery_id) for row in held}))
            raise StageError(f"A message to the person (delivery {named}) {advice}. {_UNCHANGED}")


def _cut(institute: str, files: list[FileOfPerson], number: str) -> None:
    """Take the person's rows out of kept originals, file by file. Raises StageError naming those that failed."""
    folders = BankFolders(institute)
    failed = []
    for one in files:
        try:
            text = person_rows.unpack(folders.read(one.kept.path))
            folders.write(one.kept.path, [person_rows.without(text, person_rows.find(text, number))])
        except OSError as error:
            failed.append(f"{one.kept.path} ({error.strerror or type(error).__name__})")
    if failed:
        raise StageError(
            f"The person is erased from all tables, but not yet from {', '.join(failed)}. Allow this account to write "
            "there, then erase again: what is done stays done."
        )


def _removed(person: Person, mails: dict[str, int], cut: list[FileOfPerson]) -> list[dict[str, Any]]:
    tables = [
        {"place": f"table {table.name}", "rows": len(person.tables[table.name])}
        for table in (*_GOES, hits, emma_events)
        if person.tables[table.name]
    ]
    tables += [{"place": place, "rows": number} for place, number in mails.items() if number]
    return tables + [{"place": f"file {one.kept.path}", "rows": len(one.rows)} for one in cut]


def _kept(person: Person, pseudonym: str) -> list[dict[str, Any]]:
    """What stays, and why; nothing in it names the person."""
    why = {
        "messages": "the ledger adds up; a keyed pseudonym stands for the person, a keyed hash for the address",
        "responses": "belong to the messages, which name nobody any more",
        "feedback_rows": "say in which response file an event was reported; they name nobody",
        "told_in_bap": "say that agree21BAP was told of a message, until its last day; they name nobody",
        "suppressions": "an objection must be honoured: keyed hash of the address, and the number where it bars",
        "past_messages": "the unsubscribe links of old mails go on working: keyed hash of the address",
        "reactivations": "keyed hash of an address that may be written to again",
        "rejects": "line and Referenz of a rejected row, no person; they leave by retention",
    }
    kept = [
        {"place": f"table {name}", "rows": len(person.tables[name]), "why": reason}
        for name, reason in why.items()
        if person.tables[name]
    ]
    kept += [
        {"place": f"file {one.kept.path}", "rows": len(one.rows), "why": "sent to the bank; it leaves by retention"}
        for one in person.files
        if one.kept.folder == Folder.OUTBOX
    ]
    kept += [
        {"place": f"file {path}", "rows": 0, "why": "a broken archive: nobody can look into it; it leaves by retention"}
        for path in person.unreadable
    ]
    return [*kept, {"place": "table audit", "rows": 1, "why": f"who erased, when and why; the person as {pseudonym}"}]
