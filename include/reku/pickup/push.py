"""Files that a system takes by itself: they are put into the bank's outbox, and wait there to be acknowledged."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.foundation.bank_folders import MARKER, BankFolders, Folder
from reku.foundation.errors import SetupError, StageError
from reku.foundation.one_by_one import one_by_one
from reku.pickup.file_format import FileFormat
from reku.pickup.take import acknowledge, locked_file, make
from reku.records import match_name
from reku.store.kinds import PreparedKind
from reku.store.tables import prepared_files

log = logging.getLogger(__name__)

PUSHED = (PreparedKind.AGREE_MAILING,)
"""Kinds of files that no person fetches."""


def push_files(engine: sa.Engine, bank: Institute, formats: Mapping[PreparedKind, FileFormat]) -> tuple[int, list[str]]:
    """Put into the bank's outbox what is prepared for a system and does not lie there yet.

    Killed in between, the next push writes the same bytes again. Returns how many were put there, and a sentence for
    each that cannot be made. Raises SetupError if the outbox cannot be written to or the vault key is missing.
    """
    of = prepared_files.c
    waits = (of.pushed_at.is_(None), of.expired_at.is_(None), of.erased_at.is_(None))
    with engine.connect() as connection:
        wanted = sa.select(of.id).where(of.institute == bank.blz, of.kind.in_(PUSHED), *waits).order_by(of.id)
        ids = connection.scalars(wanted).all()

    def push(file: int) -> None:
        with engine.begin() as connection:
            row = locked_file(connection, bank.blz, of.id == file, str(file))
            if row.pushed_at is not None or row.erased_at is not None:
                return
            folders = BankFolders(bank.blz)
            made = make(connection, bank, formats, row)
            for name, data in made.items():
                _put(folders, name, data)
            if made:
                connection.execute(sa.update(prepared_files).where(of.id == file).values(pushed_at=clock.now()))

    done = one_by_one(
        ids, push, named=lambda file: f"prepared file {file}", stops=lambda error: isinstance(error, SetupError)
    )
    problems = [f"Institute {bank.blz}: {failure.name}: {failure.why}" for failure in done.failures]
    return len(ids) - len(problems), problems


def _put(folders: BankFolders, name: str, data: bytes) -> None:
    path = folders.path(Folder.OUTBOX, name)
    try:
        folders.write(path, [data])
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SetupError(
            f"{path} cannot be written below REKU_FILES_URL: {reason}. Its number and rows are kept; the next import "
            "writes it, with the same bytes, once the place can be written to."
        ) from error


def take_acknowledgements(engine: sa.Engine, bank: Institute, layouts: Collection[str]) -> tuple[int, list[str]]:
    """Take in the receivers' `<name>.ok` from the inbox: the file's messages are sent, and it leaves the outbox.

    `layouts`: kinds of the contracts of such files.

    Returns how many were taken, and a sentence for each that cannot be: it is of no file, or of one that has expired;
    it is moved to `fehler/`.
    """
    folders = BankFolders(bank.blz)
    names: list[str] = []
    with suppress(FileNotFoundError):  # a bank whose folders are not made yet
        found = folders.entries(Folder.INBOX)
        names = [entry.name for entry in found if entry.is_marker and _is_of(layouts, entry.name)]
    problems: list[str] = []

    def take(marker: str) -> None:
        name = marker.removesuffix(MARKER)
        try:
            acknowledge(engine, bank.blz, name)
        except StageError as error:
            problems.append(f"Institute {bank.blz}: {marker} lies in fehler/: {error}")
            folders.move(folders.path(Folder.INBOX, marker), folders.path(Folder.FAULTY, marker))
            return
        outbox = folders.path(Folder.OUTBOX, name)
        if folders.exists(outbox):
            folders.remove(outbox)
        folders.remove(folders.path(Folder.INBOX, marker))

    done = one_by_one(sorted(names), take, named=lambda name: name)
    problems += [f"Institute {bank.blz}: {failure.name}: {failure.why}" for failure in done.failures]
    return len(names) - len(problems), problems


def _is_of(layouts: Collection[str], marker: str) -> bool:
    match = match_name(marker.removesuffix(MARKER))
    return match is not None and match[0].kind in layouts
