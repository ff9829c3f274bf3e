"""Files that were tried in vain: counted before each try, set aside after the third, tried again or dropped by people.

A try is noted before it is made, in a transaction of its own: a file that ends the process, or outlasts its run, is
counted like one that raises.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.foundation import clock
from reku.foundation.bank_folders import Folder, receipt_name
from reku.foundation.errors import StageError
from reku.records import Fault, FaultCode, contracts
from reku.sources.inbox import filing
from reku.sources.inbox.filing import Arrived, FileDecision
from reku.sources.inbox.folders import InboxFolders, claimed_name, storable
from reku.sources.inbox.receipts import KIND, refusal
from reku.store.audit import put_on_record
from reku.store.locks import Lock, session_lock
from reku.store.states import FileVerdict
from reku.store.tables import file_tries, files

log = logging.getLogger(__name__)

NEVER_FINISHED = "begonnen und nie beendet; der Lauf endete vorher"
WAIT_SECONDS = 60.0
_ADVICE = "Die Datei konnte hier in drei Versuchen nicht verarbeitet werden. Der EMMA-Support sieht sie sich an."


def note_try(connection: sa.Connection, institute: str, path: str) -> int:
    """Note in the caller's transaction that a file is tried. Returns how many tries there are with this one."""
    added = insert(file_tries).values(institute=institute, path=storable(path), tries=1, last_at=clock.now())
    return int(
        connection.execute(
            added.on_conflict_do_update(
                index_elements=["institute", "path"],
                set_={"tries": file_tries.c.tries + 1, "last_at": added.excluded.last_at},
            ).returning(file_tries.c.tries)
        ).scalar_one()
    )


def tries_of(connection: sa.Connection, institute: str, path: str) -> int:
    """How often a file was tried and came to no end."""
    return connection.scalar(sa.select(file_tries.c.tries).where(*_of(institute, path))) or 0


def take_back_try(connection: sa.Connection, institute: str, path: str) -> None:
    """The last try does not count: what failed was not the file."""
    connection.execute(sa.update(file_tries).where(*_of(institute, path)).values(tries=file_tries.c.tries - 1))


def forget_tries(connection: sa.Connection, institute: str, path: str) -> None:
    """The file has come to an end, in the caller's transaction."""
    connection.execute(sa.delete(file_tries).where(*_of(institute, path)))


def _of(institute: str, path: str) -> tuple[sa.ColumnElement[bool], ...]:
    return file_tries.c.institute == institute, file_tries.c.path == storable(path)


def set_aside(connection: sa.Connection, folders: InboxFolders, path: str, kind: str, why: str) -> int:
    """Register a file as set aside in the caller's transaction, with a receipt if its name can have one.

    What lies in `in_arbeit/` goes to `fehler/`; what could not be claimed stays where it is. `kind`: its Dateiart,
    empty if unknown. Returns its id in `files`; it is to be finalised.
    """
    name = path.rpartition("/")[2]
    is_claimed = path == folders.path(Folder.AT_WORK, name)
    fault = Fault(FaultCode.VERARBEITUNG, advice=_ADVICE)
    decision = FileDecision(
        FileVerdict.SET_ASIDE,
        fault.code,
        f"Dreimal vergeblich versucht: {why}",
        refusal([fault]) if contracts()[KIND].match(receipt_name(storable(name))) else (),
    )
    arrived = Arrived(name if is_claimed else claimed_name(name), b"", clock.now(), _check_sum(folders, path))
    file_id = filing.record(connection, folders, arrived, kind, decision)
    if not is_claimed:
        here = storable(path)
        connection.execute(sa.update(files).where(files.c.id == file_id).values(stored_as=here, moving_from=here))
    forget_tries(connection, folders.institute, path)
    return file_id


def _check_sum(folders: InboxFolders, path: str) -> str:
    """SHA-256 of the file; that of nothing if it cannot be read."""
    try:
        return folders.read_most(path, 0)[1]
    except OSError:
        return hashlib.sha256(b"").hexdigest()


def left_in_inbox(connection: sa.Connection, institute: str) -> set[str]:
    """Paths of files in `eingang/` that are set aside: they are not claimed."""
    told = sa.select(files.c.stored_as).where(
        files.c.institute == institute,
        files.c.verdict == FileVerdict.SET_ASIDE,
        files.c.stored_as.startswith(f"{institute}/{Folder.INBOX}/", autoescape=True),
    )
    return set(connection.scalars(told))


def retry(engine: sa.Engine, file_id: int, *, actor: str, note: str) -> None:
    """Have a file that is set aside taken in again by the next scan, as if it had just arrived; audited.

    Raises StageError if it is not set aside, if its original is gone, or if a scan holds the bank for a minute.
    """
    _by_a_person(engine, file_id, "files retry", actor, note)


def drop(engine: sa.Engine, file_id: int, *, actor: str, note: str) -> None:
    """Leave a file that is set aside refused for good; audited. Its original leaves by retention.

    Raises StageError as `retry` does.
    """
    _by_a_person(engine, file_id, "files drop", actor, note)


def _by_a_person(engine: sa.Engine, file_id: int, action: str, actor: str, note: str) -> None:
    with engine.connect() as connection:
        institute: str = _file(connection, file_id).institute
    with session_lock(engine, Lock.FILES, int(institute), wait_seconds=WAIT_SECONDS) as connection:
        if connection is None:
            raise StageError(f"A scan of institute {institute} is at work. Try again when it is done.")
        folders = InboxFolders(institute)
        with connection.begin():
            filing.finalise(connection, folders, file_id)
            file = _file(connection, file_id)
            if action == "files retry":
                _put_back(folders, file)
                connection.execute(sa.delete(files).where(files.c.id == file_id))
            else:
                _refuse_for_good(connection, folders, file)
            put_on_record(connection, institute, actor=actor, action=action, subject=f"files:{file_id}", note=note)
    log.info("institute %s: file %d: %s", institute, file_id, action)


def _file(connection: sa.Connection, file_id: int) -> sa.Row[Any]:
    """Its row. Raises StageError if there is none, or if it is not set aside."""
    file = connection.execute(sa.select(files).where(files.c.id == file_id)).one_or_none()
    if file is None:
        raise StageError(f"There is no file {file_id}. `reku files list` lists those that arrived.")
    if file.verdict != FileVerdict.SET_ASIDE:
        raise StageError(
            f"File {file_id} is {file.verdict}, not SET_ASIDE. `reku files list --verdict SET_ASIDE` lists those that "
            "are; a refused delivery is read again by `reku deliveries retry`."
        )
    return file


def _put_back(folders: InboxFolders, file: sa.Row[Any]) -> None:
    """Move the original to where the next scan finds it; one that was never claimed lies there."""
    if _is_in_inbox(folders, file):
        return
    again = folders.path(Folder.AT_WORK, claimed_name(file.file_name))
    if not folders.exists(file.stored_as) and not folders.exists(again):
        raise StageError(
            f"The original of file {file.id} is no longer at {file.stored_as}. Ask the sender to deliver again, and "
            f"drop this one: `reku files drop {file.id} --note …`."
        )
    folders.finish_move(file.stored_as, again)


def _refuse_for_good(connection: sa.Connection, folders: InboxFolders, file: sa.Row[Any]) -> None:
    """Note the refusal; a file that still lies in the inbox is taken away, else the next scan would claim it."""
    if _is_in_inbox(folders, file):
        names = [entry.name for entry in folders.entries(Folder.INBOX)]
        for path in (folders.path(Folder.INBOX, name) for name in names):
            if storable(path) == file.stored_as:
                folders.remove(path)
    connection.execute(sa.update(files).where(files.c.id == file.id).values(verdict=FileVerdict.REFUSED))


def _is_in_inbox(folders: InboxFolders, file: sa.Row[Any]) -> bool:
    return bool(file.stored_as.startswith(f"{folders.path(Folder.INBOX)}/"))
