"""The folders of each bank below `REKU_FILES_URL`, whatever holds them: a folder of this machine, SFTP or S3.

    <BLZ>/eingang  →  in_arbeit  →  archiv/JJJJ/MM | geparkt | fehler
    <BLZ>/ausgang                                    receipts and response files

No link below `REKU_FILES_URL` is followed, since it could lead into another bank's files, or anywhere on the machine: a
folder that is one is refused, a file that is one is no file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from reku.foundation.errors import SetupError
from reku.foundation.private_files import open_to_group, private_folder
from reku.foundation.settings import settings
from reku.foundation.storage import DRAFT, is_link, move, replace_file, store

MARKER = ".ok"
"""`<name>.ok`, an empty file, declares the file beside it complete."""
_RECEIPT = "quittung_"
_BLOCK = 1 << 20


class Folder(StrEnum):
    """The folders of a bank."""

    INBOX = "eingang"
    AT_WORK = "in_arbeit"
    PARKED = "geparkt"
    ARCHIVE = "archiv"
    FAULTY = "fehler"
    OUTBOX = "ausgang"


class LinkRefused(SetupError):
    """A folder is a link."""


@dataclass(frozen=True)
class Entry:
    """What lies in a folder: its bare name, and whether it is a plain file (no folder, no link)."""

    name: str
    is_file: bool

    @property
    def is_draft(self) -> bool:
        """Whether it is being written, or was when something died."""
        return self.name.endswith(DRAFT)

    @property
    def is_marker(self) -> bool:
        """Whether it declares the file beside it complete."""
        return self.is_file and self.name.endswith(MARKER)


@dataclass(frozen=True)
class StoredFile:
    """A file: its path below the files URL, and the folder of its bank that it lies in."""

    path: str
    folder: Folder

    @property
    def name(self) -> str:
        """Its bare name."""
        return self.path.rpartition("/")[2]

    @property
    def is_draft(self) -> bool:
        """Whether it is being written, or was when something died."""
        return self.path.endswith(DRAFT)

    @property
    def is_receipt(self) -> bool:
        """Whether it tells a sender what became of a file."""
        return self.name.startswith(_RECEIPT)


def receipt_name(file_name: str) -> str:
    """The name of a file's receipt."""
    return f"{_RECEIPT}{file_name}"


def path_below(institute: str, folder: Folder, *parts: str) -> str:
    """A path of a bank below the files URL."""
    return "/".join((institute, folder, *parts))


def banks_present() -> tuple[str, ...]:
    """The BLZ of every bank that has a folder (or a link in its place), configured or not, sorted."""
    files, root = store()
    if not files.isdir(root):
        return ()
    entries = (entry for entry in files.ls(root, detail=True) if entry["type"] == "directory" or _is_link(entry))
    return tuple(sorted(name for name in map(_name, entries) if re.fullmatch("[0-9]{8}", name)))


class BankFolders:
    """Lists, reads, writes, moves and removes files of one bank. All paths given and returned lie below the files URL.

    Make a new one for each pass over the folders: it notices a folder that has become a link since.
    """

    def __init__(self, institute: str) -> None:
        self.institute = institute
        self._files, self._root = store()
        self._no_links: set[str] = set()

    def path(self, folder: Folder, *parts: str) -> str:
        """A path of this bank below the files URL."""
        return path_below(self.institute, folder, *parts)

    def prepare(self) -> None:
        """Create what is missing. Raises SetupError if that is not permitted, or a folder is a link."""
        try:
            for folder in Folder:
                self._files.makedirs(self._full(f"{self.path(folder)}/"), exist_ok=True)
                self._protect(folder)
        except PermissionError as error:
            raise SetupError(
                f"No permission to create the folders of institute {self.institute} below REKU_FILES_URL. "
                "Give this account write permission there, or name another place."
            ) from error

    def _protect(self, folder: Folder) -> None:
        """On this machine: nobody else looks into it, but for the group that fetches and delivers."""
        if not isinstance(self._files, LocalFileSystem):
            return
        group, root = settings().files_group, Path(self._root)
        place = private_folder(Path(self._full(f"{self.path(folder)}/")))
        private_folder(place.parent)
        if group:
            open_to_group(root, group, fetches=False)
            open_to_group(place.parent, group, fetches=False)
            if folder in (Folder.INBOX, Folder.OUTBOX):
                open_to_group(place, group, fetches=True)

    def entries(self, folder: Folder) -> list[Entry]:
        """What lies directly in a folder, in no order. Raises LinkRefused, FileNotFoundError."""
        listed = self._files.ls(self._full(f"{self.path(folder)}/"), detail=True)
        return [Entry(_name(entry), entry["type"] == "file" and not _is_link(entry)) for entry in listed]

    def files(self, *folders: Folder) -> list[StoredFile]:
        """All files in these folders (none named: in all) and below, drafts and markers too, sorted by path.

        Links among them are left out. Raises LinkRefused if a folder itself is one.
        """
        stored = []
        for folder in folders or Folder:
            full = self._full(f"{self.path(folder)}/")
            if self._files.isdir(full):
                stored += [StoredFile(path.removeprefix(f"{self._root}/"), folder) for path in self._below(full)]
        return sorted(stored, key=lambda file: file.path)

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

    def size(self, path: str) -> int:
        """The size of a file in bytes. Raises FileNotFoundError."""
        return int(self._files.info(self._full(path))["size"])

    def modified(self, path: str) -> float:
        """When a file was last changed, in seconds of the real clock. Raises FileNotFoundError."""
        moment = self._files.modified(self._full(path))
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return float(zoned.timestamp())

    def write(self, path: str, blocks: Iterable[bytes]) -> None:
        """Write a file whole or not at all, over an older one too. Raises OSError."""
        replace_file(self._files, self._full(path), blocks)

    def move(self, source: str, target: str) -> None:
        """Rename a file: one step on file systems and SFTP, a copy and a removal in object stores. Raises OSError."""
        self._files.makedirs(self._full(target).rpartition("/")[0], exist_ok=True)
        move(self._files, self._full(source), self._full(target))

    def remove(self, path: str) -> None:
        """Remove a file. Raises OSError, FileNotFoundError too."""
        self._files.rm_file(self._full(path))

    def _full(self, path: str) -> str:
        """The path in the store. Raises LinkRefused if a folder on the way to its last part is a link."""
        parents = path.split("/")[:-1]
        for folder in ("/".join(parents[:length]) for length in range(1, len(parents) + 1)):
            if folder in self._no_links:
                continue
            if is_link(self._files, f"{self._root}/{folder}"):
                raise LinkRefused(
                    f"The folder {folder} below REKU_FILES_URL is a link. Links are not followed, since they could "
                    "lead into another bank's files. Put a real folder in its place, or mount one there."
                )
            # On this machine every step looks again; elsewhere each look is a round trip.
            if not isinstance(self._files, LocalFileSystem):
                self._no_links.add(folder)
        return f"{self._root}/{path}".rstrip("/")

    def _below(self, full: str) -> list[str]:
        paths = []
        for entry in self._files.ls(full, detail=True):
            if _is_link(entry):
                continue
            path = f"{full}/{_name(entry)}"
            paths += self._below(path) if entry["type"] == "directory" else [path]
        return paths


def _name(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rpartition("/")[2]


def _is_link(entry: dict[str, Any]) -> bool:
    return bool(entry.get("islink")) or entry["type"] == "link"
