"""What the simulated outer world keeps on disk: truth files of one JSON object per line, and Maildirs.

Both survive a kill at any moment: what was answered is on disk, and a torn last line never took place.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class TruthFile:
    """A file to which entries are only ever appended. One process writes it, any may read it."""

    def __init__(self, path: Path) -> None:
        """Open for writing; a torn last line of a killed writer is cut off. Raises OSError if that is not allowed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        content = path.read_bytes()
        os.ftruncate(self._file, content.rfind(b"\n") + 1)

    def append(self, entry: dict[str, Any]) -> None:
        """Write an entry; it is on disk when this returns."""
        os.write(self._file, json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        os.fsync(self._file)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a truth file, oldest first; none if it does not exist yet."""
    if path.exists():
        for line in path.read_bytes().split(b"\n")[:-1]:
            yield json.loads(line)


def put(maildir: Path, mail: bytes) -> str:
    """Deliver a mail into a Maildir, all or nothing; returns its name below `new/`."""
    for folder in ("tmp", "new", "cur"):
        (maildir / folder).mkdir(parents=True, exist_ok=True)
    name = f"{uuid.uuid4().hex}.reku"
    draft = maildir / "tmp" / name
    with draft.open("wb") as file:
        file.write(mail)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(maildir / "new" / name)
    return name
