"""What a person does: hand a file over, accept a snapshot that was refused as doubtful."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation.bank_folders import MARKER, Folder
from reku.foundation.errors import StageError
from reku.records import FaultCode, match_name
from reku.sources.agree21.import_file import import_file
from reku.sources.agree21.import_report import FileResult, ImportReport, file_result
from reku.sources.agree21.kinds import Kind
from reku.sources.agree21.scan import note_import, take_in
from reku.sources.inbox import filing
from reku.sources.inbox.folders import InboxFolders
from reku.store.audit import put_on_record
from reku.store.locks import Lock, session_lock
from reku.store.states import FileVerdict
from reku.store.tables import files

_ACCEPTABLE = (FaultCode.SCHRUMPFUNG, FaultCode.SPALTE_LEER)


def institute_of(file_name: str) -> str:
    """The BLZ in the name of a file that can be imported. Raises StageError for any other name."""
    named = match_name(file_name)
    if named is None or named[0].kind not in list(Kind):
        raise StageError(
            f"{file_name} is no name of a file to be imported. It looks like ida_kunden_<BLZ>_<JJJJMMTTHHMMSS>.csv, "
            "ida_bestand_…, gdix_termine_… or impulse_…"
        )
    return named[1]["blz"]


def hand_over(engine: sa.Engine, bank: Institute, file: Path) -> ImportReport:
    """Put a file into the bank's inbox, complete, and take in what lies there. The file itself stays where it is.

    Raises StageError if a file of this name lies in the inbox already.
    """
    folders = InboxFolders(bank.blz)
    folders.prepare()
    place = folders.path(Folder.INBOX, file.name)
    if folders.exists(place) or folders.exists(folders.path(Folder.AT_WORK, file.name)):
        raise StageError(f"A file {file.name} is being taken in already. Wait for it, or take it out of the inbox.")
    folders.write(place, [file.read_bytes()])
    folders.write(place + MARKER, [b""])
    return take_in(engine, bank)


def accept(engine: sa.Engine, bank: Institute, file_id: int, *, actor: str, note: str) -> FileResult:
    """Take in a snapshot that was refused as doubtful, once a person has looked at it: this file, and no other.

    Raises StageError if the file is not such a one, cannot be taken in for another reason, or another look is at work.
    """
    with session_lock(engine, Lock.FILES, int(bank.blz), wait_seconds=60) as connection:
        if connection is None:
            raise StageError(f"A look at the inbox of institute {bank.blz} is at work. Try again when it is done.")
        folders = InboxFolders(bank.blz)
        with connection.begin():
            file = connection.execute(
                sa.select(files).where(files.c.id == file_id, files.c.institute == bank.blz)
            ).one_or_none()
            if file is None or file.verdict != FileVerdict.REFUSED or file.code not in _ACCEPTABLE:
                raise StageError(
                    f"File {file_id} of institute {bank.blz} is no snapshot that waits for somebody to accept it. "
                    "`reku files list --verdict refused` lists refused files; "
                    f"those with the code {' or '.join(_ACCEPTABLE)} can be accepted."
                )
            named = match_name(file.file_name)
            if named is None:
                raise StageError(f"No contract knows the name of file {file_id} any more.")
            try:
                data = filing.original(folders, file)
            except FileNotFoundError:
                raise StageError(
                    f"The original of file {file_id} is no longer kept; refused imports leave after "
                    "REKU_KEEP_REFUSED_IMPORTS_HOURS. Ask the bank to deliver again."
                ) from None
            result = import_file(connection, bank, named[0], file.file_name, data, file.sha256, accepted=True)
            if result.entry is None:
                raise StageError(f"File {file_id} cannot be taken in: {result.decision.advice}")
            filing.record_again(connection, folders, file_id, result.decision)
            note_import(connection, file_id, result)
            put_on_record(
                connection, bank.blz, actor=actor, action="accept snapshot", subject=f"files:{file_id}", note=note
            )
        with connection.begin():
            filing.finalise(connection, folders, file_id)
    return file_result(file_id, named[0].kind, result)
