"""Everything that is kept of a person at an institute: every table, every file (Art. 15 GDPR)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from reku.foundation import addresses, clock
from reku.foundation.bank_folders import BankFolders, StoredFile
from reku.foundation.errors import StageError
from reku.mailbox import mailboxes
from reku.privacy import person_rows
from reku.privacy.person_rows import PersonRow, Unreadable
from reku.store.tables import (
    appointments,
    contacts,
    deliveries,
    delivery_rows,
    emma_events,
    feedback_files,
    feedback_rows,
    files,
    hits,
    holdings,
    imported_appointments,
    impulses,
    messages,
    past_messages,
    person_addresses,
    person_numbers,
    persons,
    prepared_rows,
    reactivations,
    rejects,
    responses,
    return_mails,
    selected_rows,
    subscribers,
    suppressions,
    told_core_fields,
    told_in_bap,
)
from reku.vault.pseudonyms import name_in_tables

_NUMBERED = (
    subscribers,
    delivery_rows,
    selected_rows,
    prepared_rows,
    told_core_fields,
    messages,
    contacts,
    appointments,
    persons,
    person_addresses,
    person_numbers,
    holdings,
    imported_appointments,
    impulses,
)
"""Tables whose rows are of a person by the person number."""


@dataclass(frozen=True)
class FileOfPerson:
    """A file with rows of the person."""

    kept: StoredFile
    rows: tuple[PersonRow, ...]


@dataclass(frozen=True)
class Person:
    """What was found: rows by table, files, and paths of files that nobody can look into (broken archives).

    `mails`: by their names, the beginnings of the mails of the return mailbox that are about the person's messages.
    """

    institute: str
    tables: Mapping[str, list[dict[str, Any]]]
    files: tuple[FileOfPerson, ...]
    unreadable: tuple[str, ...]
    mails: Mapping[str, bytes]

    @property
    def is_known(self) -> bool:
        """Whether anything was found."""
        return bool(self.files) or any(self.tables.values())

    def places(self) -> list[dict[str, Any]]:
        """Where something is kept and how much: what may be shown to anybody."""
        listed: list[dict[str, Any]] = [
            {"place": f"table {name}", "rows": len(rows)} for name, rows in self.tables.items() if rows
        ]
        listed += [{"place": "mails in the return mailbox", "rows": len(self.mails)}] * bool(self.mails)
        return listed + [{"place": f"file {one.kept.path}", "rows": len(one.rows)} for one in self.files]

    def contents(self) -> dict[str, Any]:
        """All of it, for the person."""
        return {
            "institute": self.institute,
            "made_at": clock.now(),
            "tables": {name: rows for name, rows in self.tables.items() if rows},
            "files": [{"path": one.kept.path, "rows": [row.cells for row in one.rows]} for one in self.files],
            "mails": {name: data.decode("utf-8", "replace") for name, data in self.mails.items()},
        }


def look_up(engine: sa.Engine, institute: str, number: str) -> Person:
    """Everything of the person with this number.

    Raises StageError if nothing is kept of such a person, SetupError or PassingError if a mailbox does not let us in.
    """
    with engine.connect() as connection:
        person = everything(connection, institute, number)
    if not person.is_known:
        raise StageError(
            f"Nothing is kept of a person with this number at institute {institute}. Numbers count with their leading "
            "zeros, as the bank delivers them."
        )
    return person


def everything(connection: sa.Connection, institute: str, number: str) -> Person:
    """What is kept of the person, whether it is anything or not. `number` as delivered, leading zeros kept.

    Raises SetupError if the bank's numbers are pseudonyms in the tables, and their key is missing or another one.
    """
    tables = in_tables(connection, institute, name_in_tables(connection, institute, number))
    references = {row["reference"] for name in ("delivery_rows", "messages") for row in tables[name]}
    files, unreadable = in_files(institute, number, references)
    rejected = [row for one in files for row in _rejected(connection, institute, one)]
    mails = in_return_mailboxes({row["mail"] for row in tables["return_mails"]})
    return Person(institute, tables | {"rejects": rejected}, tuple(files), tuple(unreadable), mails)


def in_tables(connection: sa.Connection, institute: str, number: str) -> dict[str, list[dict[str, Any]]]:
    """The person's rows by table: by the number itself, and by the keyed hashes of all addresses known of it.

    Sealed columns are left out.
    """

    def select(table: sa.Table, condition: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
        open_columns = [column for column in table.columns if not isinstance(column.type, sa.LargeBinary)]
        selected = connection.execute(sa.select(*open_columns).where(table.c.institute == institute, condition))
        return [dict(row) for row in selected.mappings()]

    tables = {table.name: select(table, table.c.person_number == number) for table in _NUMBERED}
    ids = [row["id"] for row in tables["messages"]]
    hashes = {row["recipient_key"] for row in tables["messages"]}
    for row in (*tables["delivery_rows"], *tables["subscribers"]):
        with suppress(ValueError):
            hashes.add(addresses.address_hmac(institute, row["address"]))
    tables["responses"] = select(responses, responses.c.message_id.in_(ids))
    tables["told_in_bap"] = select(told_in_bap, told_in_bap.c.message_id.in_(ids))
    tables["hits"] = select(hits, hits.c.message_id.in_(ids))
    tables["emma_events"] = select(emma_events, emma_events.c.message_id.in_(ids))
    tables["return_mails"] = select(return_mails, return_mails.c.message_id.in_(ids))
    tables["feedback_rows"] = [
        dict(row)
        for row in connection.execute(
            sa.select(feedback_rows, feedback_files.c.file_name)
            .join(feedback_files, feedback_files.c.id == feedback_rows.c.file_id)
            .where(feedback_rows.c.response_id.in_([row["id"] for row in tables["responses"]]))
        ).mappings()
    ]
    by_number = (suppressions.c.person_number == number) & (suppressions.c.person_number != "")
    tables["suppressions"] = select(suppressions, by_number | suppressions.c.recipient_key.in_(hashes))
    tables["past_messages"] = select(past_messages, past_messages.c.recipient_key.in_(hashes))
    tables["reactivations"] = select(reactivations, reactivations.c.recipient_key.in_(hashes))
    return tables


def in_files(institute: str, number: str, references: Iterable[str]) -> tuple[list[FileOfPerson], list[str]]:
    """The files with rows of the person, and the paths of those that cannot be looked into.

    In receipts, which have no person numbers, a Referenz finds them: those of `references` and of rows found elsewhere.
    """
    folders, known = BankFolders(institute), set(references)
    by_path: dict[str, FileOfPerson] = {}
    unreadable: list[str] = []
    receipts: list[StoredFile] = []
    for kept in folders.files():
        if kept.is_receipt:
            receipts.append(kept)
            continue
        try:
            rows = person_rows.find(person_rows.unpack(folders.read(kept.path)), number)
        except FileNotFoundError:  # moved on meanwhile
            continue
        except Unreadable:
            unreadable.append(kept.path)
            continue
        if rows:
            by_path[kept.path] = FileOfPerson(kept, tuple(rows))
            known |= {row.reference for row in rows}
    for kept in receipts:
        with suppress(FileNotFoundError):
            if rows := person_rows.find(person_rows.unpack(folders.read(kept.path)), number, known):
                by_path[kept.path] = FileOfPerson(kept, tuple(rows))
    return [by_path[path] for path in sorted(by_path)], unreadable


def in_return_mailboxes(names: set[str]) -> dict[str, bytes]:
    """The mails with these names. Raises SetupError or PassingError if a return mailbox cannot be looked into."""
    mails: dict[str, bytes] = {}
    for opened in mailboxes() if names else ():
        with opened as mailbox:
            mails |= mailbox.read(names)
    return mails


def _rejected(connection: sa.Connection, institute: str, file: FileOfPerson) -> list[dict[str, Any]]:
    """The rejects that the gate made of these rows of a delivery."""
    lines = [row.first for row in file.rows]
    wanted = (
        sa.select(rejects)
        .join(deliveries, deliveries.c.id == rejects.c.delivery_id)
        .join(files, files.c.id == deliveries.c.file_id)
        .where(rejects.c.institute == institute, files.c.stored_as == file.kept.path, rejects.c.line.in_(lines))
    )
    return [dict(row) for row in connection.execute(wanted).mappings()]


def write_private(path: Path, contents: Mapping[str, Any]) -> None:
    """Write contents as JSON, like `write_new`."""
    write_new(path, f"{json.dumps(contents, ensure_ascii=False, indent=1, default=_plain)}\n".encode())


def write_new(path: Path, data: bytes) -> None:
    """Write a new file that only its owner may read.

    Raises StageError if there is a file already, OSError if it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise StageError(f"{path} exists already and is not overwritten. Name another file.") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"not for JSON: {type(value).__name__}")
