"""Files that go by themselves: into our outbox for a system, which acknowledges them, or to the bank's own place."""

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
from reku.foundation.storage import is_link, open_url, replace_file
from reku.pickup.file_format import FileFormat
from reku.pickup.take import acknowledge, is_taken, locked_file, make
from reku.records import match_name
from reku.store.kinds import PreparedKind
from reku.store.tables import prepared_files

log = logging.getLogger(__name__)

PUSHED = (PreparedKind.AGREE_MAILING,)
"""Kinds of files that a system of the bank takes and acknowledges."""
OUTBOX = "outbox_url"
"""Who takes a file that goes to the bank by itself, as the audit has it."""


def push_files(engine: sa.Engine, bank: Institute, formats: Mapping[PreparedKind, FileFormat]) -> tuple[int, list[str]]:
    """Put where they belong the prepared files that no person fetches, and that do not lie there yet.

    Those for a system of the bank go to its outbox and wait there to be acknowledged. All others go to the bank's own
    `outbox_url`, if it has one: they are taken thereby, as by a person who fetches.

    Killed in between, the next push writes the same bytes again under the same names. Returns how many were put there,
    and a sentence for each that cannot be. Raises SetupError if our outbox cannot be written to or the vault key is
    missing.
    """
    of = prepared_files.c
    waits = (of.pushed_at.is_(None), of.fetched_at.is_(None), of.expired_at.is_(None), of.erased_at.is_(None))
    kinds = [kind for kind in formats if bank.outbox_url or kind in PUSHED]
    with engine.connect() as connection:
        wanted = sa.select(of.id).where(of.institute == bank.blz, of.kind.in_(kinds), *waits).order_by(of.id)
        ids = connection.scalars(wanted).all()

    def push(file: int) -> None:
        with engine.begin() as connection:
            row = locked_file(connection, bank.blz, of.id == file, str(file))
            if row.pushed_at is not None or row.fetched_at is not None or row.erased_at is not None:
                return
            made = make(connection, bank, formats, row)
            if made and row.kind in PUSHED:
                _put_into_our_outbox(bank, made)
                connection.execute(sa.update(prepared_files).where(of.id == file).values(pushed_at=clock.now()))
            elif made:
                _put_into_the_banks(bank, made)
                is_taken(connection, bank, row, OUTBOX)

    done = one_by_one(
        ids, push, named=lambda file: f"prepared file {file}", stops=lambda error: isinstance(error, SetupError)
    )
    problems = [f"Institute {bank.blz}: {failure.name}: {failure.why}" for failure in done.failures]
    return len(ids) - len(problems), problems


def _put_into_our_outbox(bank: Institute, made: Mapping[str, bytes]) -> None:
    folders = BankFolders(bank.blz)
    for name, data in made.items():
        path = folders.path(Folder.OUTBOX, name)
        try:
            folders.write(path, [data])
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SetupError(
                f"{path} cannot be written below REKU_FILES_URL: {reason}. Its number and rows are kept; the next "
                "import writes it, with the same bytes, once the place can be written to."
            ) from error


def _put_into_the_banks(bank: Institute, made: Mapping[str, bytes]) -> None:
    """The first file, by which the others are found, comes last. Raises StageError: other files are not held up."""
    try:
        files, root = open_url(bank.outbox_url, "outbox_url")
        if is_link(files, root):
            raise StageError("The folder of its outbox_url is a link, and links are not followed. Name the folder.")
        for name, data in reversed(list(made.items())):
            replace_file(files, f"{root.rstrip('/')}/{name}", [data])
    except (OSError, SetupError) as error:
        reason = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
        raise StageError(
            f"It cannot be put to the bank's outbox_url: {reason}. It waits, and the next import puts it there, with "
            "the same bytes; until then the bank's staff may fetch it."
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
