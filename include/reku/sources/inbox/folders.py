"""The folders of one institute below `REKU_FILES_URL`: a folder of this machine, SFTP or S3, by fsspec.

Names in `eingang/` may hold anything. From `in_arbeit/` on, files carry their quoted name, which is the name itself for
every name of the contracts (letters, digits, `_.-`).
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import Any
from urllib.parse import quote, unquote

from reku.foundation.errors import SetupError, StageError
from reku.foundation.storage import DRAFT, move, replace_file, store

INBOX = "eingang"
AT_WORK = "in_arbeit"
ARCHIVE = "archiv"
FAULTY = "fehler"
PARKED = "geparkt"
OUTBOX = "ausgang"
ALL = (INBOX, AT_WORK, ARCHIVE, FAULTY, PARKED, OUTBOX)

MARKER = ".ok"
_BLOCK = 1 << 20
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
    """What lies in `eingang/`: complete files, how many are still being written, how many entries are no files."""

    complete: tuple[InboxFile, ...]
    waiting: int
    no_files: int


def institutes_present() -> tuple[str, ...]:
    """Names of the folders directly below the files URL, one per institute, sorted."""
    files, root = store()
    if not files.isdir(root):
        return ()
    entries = files.ls(root, detail=True)
    return tuple(sorted(_name(entry) for entry in entries if entry["type"] == "directory"))


def shown_name(claimed: str) -> str:
    """The name under which a claimed file arrived, for the `files` table; what cannot be stored is escaped."""
    arrived = unquote(claimed, errors="surrogateescape")
    return arrived.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def claimed_name(name: str) -> str:
    """The name that a file carries from `in_arbeit/` on; too long ones are cut and told apart by a hash."""
    raw = name.encode(errors="surrogateescape")
    quoted = quote(raw, safe="")
    if len(quoted) <= _LONGEST_NAME:
        return quoted
    return f"{quoted[: _LONGEST_NAME - 17]}-{hashlib.sha256(raw).hexdigest()[:16]}"


def _name(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rpartition("/")[2]


class Folders:
    """Moves and reads files of one institute. All paths given and returned lie below the files URL."""

    def __init__(self, institute: str) -> None:
        self.institute = institute
        self._files, self._root = store()

    def path(self, *parts: str) -> str:
        """A path of this institute below the files URL."""
        return "/".join((self.institute, *parts))

    def prepare(self) -> None:
        """Create what is missing. Raises SetupError if that is not permitted."""
        try:
            for folder in ALL:
                self._files.makedirs(self._full(self.path(folder)), exist_ok=True)
        except PermissionError as error:
            raise SetupError(
                f"No permission to create the folders of institute {self.institute} below REKU_FILES_URL. "
                "Give this account write permission there, or name another place."
            ) from error

    def arrived(self, settle_seconds: float) -> Inbox:
        """The files of `eingang/`.

        A file is complete when `<name>.ok` lies beside it, or when it has not changed for `settle_seconds`. That is
        measured by the real clock, not by the injectable one, since times of files are real.
        """
        entries = [entry for entry in self._list(INBOX) if not _name(entry).endswith(DRAFT)]
        markers = {_name(entry) for entry in entries if _name(entry).endswith(MARKER)}
        present = time.time()
        complete, waiting, no_files = [], 0, 0
        for entry in entries:
            name = _name(entry)
            if name in markers:
                continue
            # Links are not followed: they could lead anywhere on the machine.
            if entry["type"] != "file" or entry.get("islink"):
                no_files += 1
                continue
            found = self._look(name)
            marked = name + MARKER in markers
            if found and (marked or present - found.modified >= settle_seconds):
                complete.append(replace(found, marked=marked))
            else:
                waiting += 1
        return Inbox(tuple(sorted(complete, key=lambda found: found.name)), waiting, no_files)

    def claim(self, found: InboxFile) -> bool:
        """Move a complete file from `eingang/` to `in_arbeit/`. False if it changed, vanished, or must wait its turn.

        A move is one step on file systems and SFTP. Object stores copy and delete; what a crash leaves between the two
        is recognised by its equal bytes.
        """
        source, target = self.path(INBOX, found.name), self.path(AT_WORK, claimed_name(found.name))
        if self._look(found.name) != found:
            return False
        if self.exists(target):
            if self.read(source) == self.read(target):
                self._files.rm_file(self._full(source))
            return False
        # The marker goes first: left behind, it would declare the next file of this name complete too early.
        if found.marked:
            with suppress(FileNotFoundError):
                self._files.rm_file(self._full(source + MARKER))
        try:
            self._move(source, target)
        except FileNotFoundError:
            return False
        return True

    def claimed(self) -> tuple[str, ...]:
        """Names of the files in `in_arbeit/`, sorted: just claimed ones, and leftovers of a crash."""
        return tuple(sorted(_name(entry) for entry in self._list(AT_WORK) if entry["type"] == "file"))

    def exists(self, path: str) -> bool:
        """Whether a file lies there."""
        return bool(self._files.exists(self._full(path)))

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError."""
        data: bytes = self._files.cat_file(self._full(path))
        return data

    def read_most(self, path: str, most: int) -> tuple[bytes, str]:
        """The first `most` bytes of a file, and the SHA-256 of all of it. Raises FileNotFoundError."""
        kept, size, sha256 = [], 0, hashlib.sha256()
        with self._files.open(self._full(path), "rb") as stream:
            while block := stream.read(_BLOCK):
                sha256.update(block)
                if size < most:
                    kept.append(block[: most - size])
                size += len(block)
        return b"".join(kept), sha256.hexdigest()

    def settle(self, source: str, target: str) -> None:
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
            self._files.rm_file(self._full(source))
            return
        self._files.makedirs(self._full(target).rpartition("/")[0], exist_ok=True)
        self._move(source, target)

    def write(self, path: str, data: bytes) -> None:
        """Write a file whole or not at all: under a draft's name first, then renamed, over an older one too."""
        replace_file(self._files, self._full(path), [data])

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _list(self, folder: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._files.ls(self._full(self.path(folder)), detail=True)
        return entries

    def _look(self, name: str) -> InboxFile | None:
        full = self._full(self.path(INBOX, name))
        try:
            size, modified = self._files.info(full)["size"], self._files.modified(full)
        except FileNotFoundError:
            return None
        zoned = modified if modified.tzinfo else modified.replace(tzinfo=UTC)
        return InboxFile(name, size, zoned.timestamp())

    def _move(self, source: str, target: str) -> None:
        move(self._files, self._full(source), self._full(target))
