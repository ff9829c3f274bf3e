"""The journal of a tracker process: each open and click, written before it is answered.

An append-only file on the machine's own disk, one per process, a line of JSON per hit. What is written survives the
death of the process (kill -9), since the kernel has it. It is synced to the disk once a second: a loss of power may
cost what was answered in the second before. It holds ids, moments and the names of mail programs; its lines leave with
the file, soon after they stand in the database.
"""

from __future__ import annotations

import logging
import time
import uuid
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from reku.foundation import clock
from reku.foundation.append_log import AppendLog

log = logging.getLogger(__name__)

SUFFIX = ".hits"
LONGEST_AGENT = 200
OLDEST_SECONDS = 3600.0
BIGGEST = 16_000_000
"""Seconds and bytes after which a journal ends and the next one begins."""

_Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class HitLine(msgspec.Struct, forbid_unknown_fields=True):
    """An open or click of a message, or a click of nobody (ANON), whose `id` is its delivery's.

    `at`: microseconds since 1970.
    """

    kind: Literal["OPENED", "CLICKED", "ANON"]
    id: _Id
    link: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    at: Annotated[int, msgspec.Meta(ge=0, lt=10**17)]
    agent: Annotated[str, msgspec.Meta(pattern=r"\A[^\x00]*\Z")]  # PostgreSQL stores no NUL


_encode = msgspec.json.Encoder().encode


class HitJournal:
    """The journal that this process writes, held (flock) from its creation to the end of the process.

    A journal that cannot be written stops no answer: `lost` counts the hits that nobody has noted, `problem` says what
    is wrong at present (empty: nothing).
    """

    def __init__(self, folder: Path) -> None:
        self.lost = 0
        self.problem = ""
        self._folder = folder
        self._log: AppendLog | None = None
        self._begun = 0.0
        self._open()

    def note(self, kind: Literal["OPENED", "CLICKED", "ANON"], id_: int, link: int = 0, agent: str = "") -> None:
        """Write one hit; it is with the kernel when this returns, or counted as lost."""
        at = int(clock.now().timestamp() * 1_000_000)
        line = _encode(HitLine(kind, id_, link, at, agent[:LONGEST_AGENT].replace("\0", "")))
        if not self._write(line + b"\n"):
            self.lost += 1

    def sync(self) -> None:
        """Have what was written put on the disk. The only thing of a journal that another thread may do."""
        if self._log is not None:
            self._log.sync()

    def tend(self) -> None:
        """See whether a journal in trouble can be written again; begin the next one once it is large or old, since only
        ended ones are removed.
        """
        if self._log is not None and self._log.is_removed:
            self.close()
            self._in_trouble("somebody has removed it")
        if self._log is None:
            self._open()
        elif self.problem:
            self._write(b"\n")  # an empty line says nothing
        elif self._log.size and (self._log.size > BIGGEST or time.monotonic() - self._begun > OLDEST_SECONDS):
            self.close()
            self._open()

    def close(self) -> None:
        """Let go of the file: whoever drains it next may remove it."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _open(self) -> None:
        try:
            self._log = AppendLog.create(self._folder / f"{uuid.uuid4().hex}{SUFFIX}")
        except OSError as error:
            self._in_trouble(error.strerror or type(error).__name__)
            return
        self._begun = time.monotonic()
        self._well_again()

    def _write(self, data: bytes) -> bool:
        if self._log is None:
            return False
        try:
            self._log.append(data)
        except OSError as error:
            self._in_trouble(error.strerror or type(error).__name__)
            if self._log.is_torn:
                self.close()  # the next journal begins anew
            return False
        self._well_again()
        return True

    def _in_trouble(self, why: str) -> None:
        if not self.problem:
            log.error("The journal of opens and clicks cannot be written: %s. They are answered and lost.", why)
        self.problem = (
            f"Opens and clicks are answered, but lost: the journal in {self._folder} cannot be written ({why}). Make "
            "room, or let this account write there (REKU_TRACKER_DIR)."
        )

    def _well_again(self) -> None:
        if self.problem:
            log.warning("The journal of opens and clicks can be written again; %d were lost so far.", self.lost)
            self.problem = ""
