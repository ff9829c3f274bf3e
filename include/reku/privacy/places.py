"""All files of the institutes below `REKU_FILES_URL`, wherever intake and feedback have put them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from reku.foundation.storage import DRAFT, replace_file, store

INBOX, AT_WORK, PARKED = "eingang", "in_arbeit", "geparkt"
ARCHIVE, FAULTY, OUTBOX = "archiv", "fehler", "ausgang"
STILL_NEEDED = (INBOX, AT_WORK, PARKED)
"""Folders of files that are still to be taken in or judged."""
ALL = (*STILL_NEEDED, ARCHIVE, FAULTY, OUTBOX)


@dataclass(frozen=True)
class Kept:
    """A file: its path below the files URL, and the folder of its institute that it lies in."""

    path: str
    folder: str

    @property
    def is_draft(self) -> bool:
        """Whether it is being written, or was when something died."""
        return self.path.endswith(DRAFT)


class Places:
    """Lists, reads, changes and removes files. All paths given and returned lie below the files URL."""

    def __init__(self) -> None:
        self._files, self._root = store()

    def institutes(self) -> list[str]:
        """The BLZ of every institute that has a folder, configured or not."""
        if not self._files.isdir(self._root):
            return []
        names = (_name(entry) for entry in self._files.ls(self._root, detail=True) if entry["type"] == "directory")
        return sorted(name for name in names if re.fullmatch("[0-9]{8}", name))

    def of(self, institute: str, *folders: str) -> list[Kept]:
        """Its files in these folders (none named: all), sorted. Links are not followed: they could lead anywhere."""
        found = []
        for folder in folders or ALL:
            full = f"{self._root}/{institute}/{folder}"
            if self._files.isdir(full):
                found += [Kept(path.removeprefix(f"{self._root}/"), folder) for path in self._below(full)]
        return sorted(found, key=lambda kept: kept.path)

    def _below(self, full: str) -> list[str]:
        found = []
        for entry in self._files.ls(full, detail=True):
            if entry.get("islink"):
                continue
            path = f"{full}/{_name(entry)}"
            found += self._below(path) if entry["type"] == "directory" else [path]
        return found

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError."""
        data: bytes = self._files.cat_file(self._full(path))
        return data

    def replace(self, path: str, data: bytes) -> None:
        """Put other bytes in a file's place: whole, or not at all. Raises OSError."""
        replace_file(self._files, self._full(path), [data])

    def remove(self, path: str) -> None:
        """Remove a file. Raises OSError, FileNotFoundError too."""
        self._files.rm_file(self._full(path))

    def modified(self, path: str) -> float:
        """When a file was last changed, in seconds of the real clock. Raises FileNotFoundError."""
        moment = self._files.modified(self._full(path))
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return float(zoned.timestamp())

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"


def _name(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rpartition("/")[2]
