"""What became of a file: fixed in one transaction first, carried out afterwards, as often as need be.

`record` and `record_again` write the verdict, the original's place and the receipt's rows into `files` and note in
`moving_from` that the move and the receipt are still to come. `finalise` does both and clears the note.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.bank_folders import Folder, receipt_name
from reku.records import Fault, FaultCode, parse_moment
from reku.sources.inbox.folders import InboxFolders, claimed_name, shown_name
from reku.sources.inbox.receipts import Line, receipt_bytes
from reku.store.states import FileVerdict
from reku.store.tables import files

NOWHERE = ""
"""Place (`stored_as`) of an original that is not kept."""

_MADE_EARLIER = timedelta(days=400)
_MADE_LATER = timedelta(days=7)
"""So long before and after its arrival a file may say that it was made."""

_HOME = {
    FileVerdict.PROCESSED: Folder.ARCHIVE,
    FileVerdict.REGISTERED: Folder.ARCHIVE,
    FileVerdict.DUPLICATE: Folder.ARCHIVE,
    FileVerdict.PARKED: Folder.PARKED,
    FileVerdict.REFUSED: Folder.FAULTY,
    FileVerdict.UNKNOWN: Folder.FAULTY,
    FileVerdict.SET_ASIDE: Folder.FAULTY,
}


@dataclass(frozen=True)
class Arrived:
    """A claimed file: its name in `in_arbeit/`, its bytes as they arrived, and when they were read.

    Of a file that is larger than any of its kind may be, `data` is only the beginning, with one byte too many.
    `sha256` (64 hex digits) goes over all of it.
    """

    name: str
    data: bytes
    received_at: datetime
    sha256: str


@dataclass(frozen=True)
class FileDecision:
    """What became of a file: the verdict, its code and German advice, and its receipt's rows (none: no receipt).

    `keep`: whether the original is kept; without, it is removed as soon as the decision stands.
    """

    verdict: FileVerdict
    code: str = ""
    advice: str = ""
    receipt: tuple[Line, ...] = ()
    keep: bool = True


def arrive(folders: InboxFolders, name: str, most: int) -> Arrived:
    """Read a claimed file that may have `most` bytes, however many it has.

    Raises OSError if the storage fails; the file stays where it is.
    """
    data, sha256 = folders.read_most(folders.path(Folder.AT_WORK, name), most + 1)
    return Arrived(name, data, clock.now(), sha256)


def record(
    connection: sa.Connection, folders: InboxFolders, arrived: Arrived, kind: str, decision: FileDecision
) -> int:
    """Register an arrived file with its decision in the caller's transaction. Returns its id in `files`."""
    new: int = connection.execute(
        sa.insert(files)
        .values(
            institute=folders.institute,
            file_name=shown_name(arrived.name),
            kind=kind,
            sha256=arrived.sha256,
            received_at=arrived.received_at,
            verdict=decision.verdict,
            stored_as="",
            moving_from=folders.path(Folder.AT_WORK, arrived.name),
        )
        .returning(files.c.id)
    ).scalar_one()
    _write_decision(connection, folders, new, arrived.name, arrived.received_at, decision)
    return new


def record_again(connection: sa.Connection, folders: InboxFolders, file_id: int, decision: FileDecision) -> None:
    """Give a registered file another decision (a parked one set free, a refused one read again) in the transaction.

    Raises OSError or StageError if what the earlier decision left to do cannot be done.
    """
    finalise(connection, folders, file_id)
    file = connection.execute(sa.select(files).where(files.c.id == file_id).with_for_update(key_share=True)).one()
    connection.execute(sa.update(files).where(files.c.id == file_id).values(moving_from=file.stored_as))
    _write_decision(connection, folders, file_id, claimed_name(file.file_name), file.received_at, decision)


def _write_decision(
    connection: sa.Connection,
    folders: InboxFolders,
    file_id: int,
    name: str,
    received_at: datetime,
    decision: FileDecision,
) -> None:
    connection.execute(
        sa.update(files)
        .where(files.c.id == file_id)
        .values(
            verdict=decision.verdict,
            code=decision.code,
            advice=decision.advice,
            stored_as=_place(connection, folders, file_id, name, received_at, decision.verdict)
            if decision.keep
            else NOWHERE,
            receipt=[line.stored() for line in decision.receipt] or sa.null(),
            receipt_at=clock.now() if decision.receipt else None,
        )
    )


def _place(
    connection: sa.Connection,
    folders: InboxFolders,
    file_id: int,
    name: str,
    received_at: datetime,
    verdict: FileVerdict,
) -> str:
    """Where the original shall lie: its verdict's folder, archived ones by the Berlin month in which they arrived.

    A name that is taken there gets the file's id appended, so that nothing is ever overwritten.
    """
    home = _HOME[verdict]
    month = [f"{clock.berlin(received_at):%Y/%m}"] if home == Folder.ARCHIVE else []
    wanted = folders.path(home, *month, name)
    present = connection.execute(sa.select(files.c.stored_as).where(files.c.id == file_id)).scalar_one()
    if present in (wanted, f"{wanted}.{file_id}"):
        return str(present)
    others = sa.select(files.c.id).where(files.c.institute == folders.institute, files.c.stored_as == wanted)
    if connection.execute(others.limit(1)).first() is not None or folders.exists(wanted):
        return f"{wanted}.{file_id}"
    return wanted


def finalise(connection: sa.Connection, folders: InboxFolders, file_id: int) -> None:
    """Move the original to its place and write its receipt, in the caller's transaction; harmless when repeated.

    Raises OSError or StageError if the storage fails; then nothing is noted as done, and the next scan repeats it.
    """
    file = connection.execute(sa.select(files).where(files.c.id == file_id).with_for_update(key_share=True)).one()
    if file.moving_from is None:
        return
    if file.stored_as == NOWHERE:
        with suppress(FileNotFoundError):
            folders.remove(file.moving_from)
    else:
        folders.finish_move(file.moving_from, file.stored_as)
    if file.receipt is not None:
        folders.write(folders.path(Folder.OUTBOX, receipt_name(file.file_name)), [receipt_bytes(file)])
    connection.execute(sa.update(files).where(files.c.id == file_id).values(moving_from=None))


def original(folders: InboxFolders, file: sa.Row[Any]) -> bytes:
    """The bytes of a registered file (a row of `files`) as they arrived. Raises FileNotFoundError."""
    # Looked for in its place first: between the move and its note in the database it is there already.
    for path in (file.stored_as, file.moving_from):
        if path and folders.exists(path):
            return folders.read(path)
    raise FileNotFoundError(file.stored_as)


def made_near(created_at: datetime, received_at: datetime) -> Iterator[Fault]:
    """A fault if a file says that it was made long before it came, or much later: a slip, or a clock that is wrong."""
    if -_MADE_LATER <= received_at - created_at <= _MADE_EARLIER:
        return
    advice = (
        f"Erstellt_am darf höchstens {_MADE_EARLIER.days} Tage vor und {_MADE_LATER.days} Tage nach dem Eingang der "
        "Datei liegen. Uhr und Datum des Absenders prüfen."
    )
    yield Fault(FaultCode.WERT, 1, "Erstellt_am", advice)


def named_moment(stamp: str, received_at: datetime) -> datetime:
    """The moment in a file's name, for files whose leading record cannot be read; never later than its arrival."""
    try:
        named = parse_moment(f"{stamp[6:8]}.{stamp[4:6]}.{stamp[:4]} {stamp[8:10]}:{stamp[10:12]}:{stamp[12:]}")
    except ValueError:
        return received_at
    return min(named, received_at)


def unfinished(connection: sa.Connection, institute: str) -> dict[int, str]:
    """Files whose move or receipt is still to come: id → where the original lies now, oldest first."""
    rows = connection.execute(
        sa.select(files.c.id, files.c.moving_from)
        .where(files.c.institute == institute, files.c.moving_from.is_not(None))
        .order_by(files.c.id)
    )
    return {row.id: row.moving_from for row in rows}
