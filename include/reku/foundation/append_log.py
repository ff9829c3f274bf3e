"""An append-only file of lines on the machine's own disk, held by its writer (flock) for as long as that lives.

What is appended survives the death of the process (kill -9), since the kernel has it; it is on the disk only once it is
synced. Whoever reads the file learns whether its writer lives: if it does not, the file is complete, but for a line
that was being written.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from reku.foundation.private_files import private_folder

DRAFT = ".draft"


class AppendLog:
    """A file that this process writes and holds.

    `size`: bytes of whole lines in it. `is_torn`: it ends with half a line, so nothing more may be appended.
    """

    def __init__(self, file: Path, descriptor: int) -> None:
        self.size = 0
        self.is_torn = False
        self._file, self._descriptor = file, descriptor

    @classmethod
    def create(cls, file: Path) -> AppendLog:
        """Begin the file, and its folder if need be; one that lies there already is replaced.

        Raises OSError, SetupError if the folder is a link.
        """
        draft = file.with_suffix(DRAFT)
        private_folder(file.parent)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # Held before it has its name: without a holder it would be taken for a dead process'.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(file)
        except OSError:
            os.close(descriptor)
            raise
        return cls(file, descriptor)

    def append(self, lines: bytes) -> None:
        """Append whole lines; the kernel has them when this returns.

        Raises OSError if it does not take them all. Then the file ends with the last line that was written whole, or it
        `is_torn` if even that cannot be had.
        """
        written = os.write(self._descriptor, lines)
        if written == len(lines):
            self.size += written
            return
        self.size += lines.rfind(b"\n", 0, written) + 1
        try:
            os.ftruncate(self._descriptor, self.size)  # half a line would spoil the next one
        except OSError:
            self.is_torn = True
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def sync(self) -> None:
        """Have everything appended put on the disk; another thread than the writer's may do so."""
        os.fdatasync(self._descriptor)

    @property
    def is_removed(self) -> bool:
        """Whether somebody has removed the file."""
        return not os.fstat(self._descriptor).st_nlink

    def close(self) -> None:
        """Let go of the file: it is complete, and whoever reads it next is told so."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Remove the file and let go of it."""
        self._file.unlink(missing_ok=True)
        self.close()


class LogReader:
    """A file that is read. `is_complete`: its writer has let go of it or is dead, and it is ours until we close it."""

    def __init__(self, file: Path, content: BinaryIO, *, is_complete: bool) -> None:
        self.is_complete = is_complete
        self._file, self._content = file, content

    def read(self, position: int = 0, most: int = -1) -> bytes:
        """The whole lines from a position on, at most so many bytes. A line without its end is left out.

        So many bytes without any line's end are given as they are: blocks that never reached the disk read as zeros.
        """
        self._content.seek(position)
        data = self._content.read(most)
        whole = data[: data.rfind(b"\n") + 1]
        return data if not whole and len(data) == most else whole

    def is_in_place(self) -> bool:
        """Whether the file of this name is still the one that is read."""
        with suppress(FileNotFoundError):
            return self._file.stat().st_ino == os.fstat(self._content.fileno()).st_ino
        return False

    def remove(self) -> None:
        """Remove the file."""
        self._file.unlink(missing_ok=True)


@contextmanager
def reading(file: Path) -> Iterator[LogReader]:
    """Read a file. Raises FileNotFoundError if there is none, OSError if it cannot be read."""
    with file.open("rb") as content:
        try:
            fcntl.flock(content, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield LogReader(file, content, is_complete=False)
        else:
            yield LogReader(file, content, is_complete=True)
