"""An institute's inbox: when a file is complete, how it is claimed, and how an original gets to its place.

Names in `eingang/` may hold anything. From `in_arbeit/` on, files carry their quoted name, which is the name itself for
every name of the contracts (letters, digits, `_.-`).
"""

from __future__ import annotations

import hashlib
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

from reku.foundation.bank_folders import MARKER, BankFolders, Folder
from reku.foundation.errors import StageError
from reku.foundation.one_by_one import Failure, one_by_one

_LONGEST_NAME = 200  # file systems allow 255 bytes; a suffix against collisions must still fit


@dataclass(frozen=True)
class InboxFile:
    """A file in `eingang/` as the listing saw it: `modified` in seconds of the real clock, `marked` by `<name>.ok`."""

    name: str
    size: int
    modified: float
    marked: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Inbox:
    """What lies in `eingang/`: complete files, how many are still being written, how many entries are no files.

    `left`: how many names were not looked at, since there are more than are taken in at once. `failures`: those that
    could not be looked at.
    """

    complete: tuple[InboxFile, ...]
    waiting: int
    no_files: int
    left: int = 0
    failures: tuple[Failure[str], ...] = ()


@dataclass(frozen=True)
class ClaimedFiles:
    """What lies in `in_arbeit/`: names of the files, sorted, and how many entries are no files."""

    names: tuple[str, ...]
    no_files: int


def shown_name(claimed: str) -> str:
    """The name under which a claimed file arrived, for the `files` table; what cannot be stored is escaped."""
    return storable(unquote(claimed, errors="surrogateescape"))


def storable(name: str) -> str:
    """A name or path as the database can hold it: what is no text, and NUL, are escaped."""
    return name.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def claimed_name(name: str) -> str:
    """The name that a file carries from `in_arbeit/` on; too long ones are cut and told apart by a hash."""
    raw = name.encode(errors="surrogateescape")
    quoted = quote(raw, safe="")
    if len(quoted) <= _LONGEST_NAME:
        return quoted
    return f"{quoted[: _LONGEST_NAME - 17]}-{hashlib.sha256(raw).hexdigest()[:16]}"


class InboxFolders(BankFolders):
    """Claims what has arrived for one institute, and moves originals to their places, never over another file."""

    def arrived(self, settle_seconds: float, most: int = sys.maxsize) -> Inbox:
        """The files of `eingang/`, in the order of their names; no further than to `most` complete ones.

        A file is complete when `<name>.ok` lies beside it, or when it has not changed for `settle_seconds`. That is
        measured by the real clock, not by the injectable one, since times of files are real.
        """
        entries = [entry for entry in self.entries(Folder.INBOX) if not entry.is_draft]
        markers = {entry.name for entry in entries if entry.is_marker}
        no_files = sum(not entry.is_file for entry in entries)
        names = sorted(entry.name for entry in entries if entry.is_file and not entry.is_marker)
        present = time.time()
        complete: list[InboxFile] = []

        def look(name: str) -> None:
            file = self._seen(name)
            marked = name + MARKER in markers
            if file and (marked or present - file.modified >= settle_seconds):
                complete.append(replace(file, marked=marked))

        done = one_by_one(names, look, named=lambda _: "a file in eingang/", is_enough=lambda: len(complete) >= most)
        waiting = len(names) - len(done.left) - len(done.failures) - len(complete)
        return Inbox(tuple(complete), waiting, no_files, len(done.left), tuple(done.failures))

    def claim(self, file: InboxFile) -> bool:
        """Move a complete file from `eingang/` to `in_arbeit/`. False if it changed, vanished, or must wait its turn.

        A move is one step on file systems and SFTP. Object stores copy and delete; what a crash leaves between the two
        is recognised by its equal bytes.
        """
        source, target = self.path(Folder.INBOX, file.name), self.path(Folder.AT_WORK, claimed_name(file.name))
        if self._seen(file.name) != file:
            return False
        if self.exists(target):
            if self.read(source) == self.read(target):
                self.remove(source)
            return False
        # The marker goes first: left behind, it would declare the next file of this name complete too early.
        if file.marked:
            with suppress(FileNotFoundError):
                self.remove(source + MARKER)
        try:
            self.move(source, target)
        except FileNotFoundError:
            return False
        return True

    def claimed(self) -> ClaimedFiles:
        """What lies in `in_arbeit/`: files just claimed, and leftovers of a crash."""
        entries = self.entries(Folder.AT_WORK)
        names = sorted(entry.name for entry in entries if entry.is_file)
        return ClaimedFiles(tuple(names), len(entries) - len(names))

    def finish_move(self, source: str, target: str) -> None:
        """Move an original to its place, if it is not there yet; never over another file.

        Raises StageError if it is neither here nor there, or if another file lies in its place.
        """
        if source == target:
            return
        if not self.exists(source):
            if self.exists(target):
                return
            raise StageError(
                f"Institute {self.institute}: an original is missing at {source} and at {target}. "
                "Put it back at one of the two; the next scan goes on with it."
            )
        if self.exists(target):
            if self.read(source) != self.read(target):
                raise StageError(
                    f"Institute {self.institute}: another file lies at {target}. "
                    "Move that file away; the next scan puts the original there."
                )
            self.remove(source)
            return
        self.move(source, target)

    def _seen(self, name: str) -> InboxFile | None:
        """The file as it is now; None if it is gone."""
        path = self.path(Folder.INBOX, name)
        try:
            return InboxFile(name, self.size(path), self.modified(path))
        except FileNotFoundError:
            return None
