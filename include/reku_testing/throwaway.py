"""A PostgreSQL for one benchmark or one test run: fast, and deleted at its end.

What a killed run left behind is found and deleted by the next one: beside the data of every such server lies a note of
the process and the run that it belongs to.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from reku.runtime import places
from reku.runtime.postgres import Postgres

_NOTE = ".run"  # suffix of the note beside the data
_LOCK = "runs.lock"  # held while notes are read or written, so nobody sees half a note or one without its process


class ThrowawayPostgres(Postgres):
    """A server that belongs to the folder `folder` of a run; `remove` deletes it.

    It ends with the process that starts it, unless `durable`: then commits reach the disk. For root the data lie below
    `places.SYSTEM_STATE`, where PostgreSQL's account can reach them, otherwise in `folder`, which goes with its run.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        if os.geteuid() != 0:
            super().__init__(folder / "postgres", durable=durable)
            return
        super().__init__(places.state_of(folder), durable=durable)
        with _notes() as notes:
            for note in notes:
                if not _is_alive(note.read_text(encoding="utf-8")):
                    delete(Postgres(note.with_suffix(""), durable=False))
                    note.unlink()
            self._note.write_text(f"{os.getpid()} {psutil.Process().create_time()} {folder}\n", encoding="utf-8")

    def remove(self) -> None:
        """Stop the server and delete its data for good."""
        delete(self)
        if os.geteuid() == 0:
            with _notes():
                self._note.unlink(missing_ok=True)

    @property
    def _note(self) -> Path:
        return self.state.with_suffix(_NOTE)


@contextmanager
def _notes() -> Iterator[list[Path]]:
    """The notes of all servers; nobody else reads or writes one meanwhile."""
    places.make_root(places.SYSTEM_STATE)
    with (places.SYSTEM_STATE / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield list(places.SYSTEM_STATE.glob(f"*{_NOTE}"))


def _is_alive(note: str) -> bool:
    """Whether the process of a note is still there (a pid alone may have been given away again)."""
    try:
        pid, created, _ = note.split(" ", 2)
        return psutil.Process(int(pid)).create_time() == float(created)
    except (psutil.NoSuchProcess, ValueError):
        return False


def delete(server: Postgres) -> None:
    """Stop a server and delete its data for good."""
    if server.state.exists():
        server.stop()
        shutil.rmtree(server.state)
    if server.socket_folder != server.state:
        shutil.rmtree(server.socket_folder, ignore_errors=True)
