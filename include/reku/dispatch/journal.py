"""The journal of a claimed batch: which of its mails were begun, and what the server answered.

One small file per batch on the machine's own disk, appended to right before a mail's first byte and right after its
answer, without a commit in between. What is written survives the death of the process (kill -9), since the kernel has
it; it is not synced, so after a crash of the machine it may lack its end. Then it is told by its boot id and only its
answers are believed. It holds ids, codes and moments, nothing of people.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from reku.foundation.append_log import AppendLog, reading
from reku.foundation.errors import SetupError
from reku.foundation.one_by_one import one_by_one

_encode = msgspec.json.Encoder().encode  # moments become ISO 8601
_BEGUN = "begun"
_ENDED = "ended"


class Owner(StrEnum):
    """What a journal says about the dispatcher that wrote it."""

    ALIVE = "ALIVE"  # it still holds its journal
    DEAD = "DEAD"  # it has let go of it: the journal is complete
    UNKNOWN = "UNKNOWN"  # no journal here, or one from before the machine was restarted


class Ended(NamedTuple):
    """How hand-over of one message ended: what the ledger and the responses are to be told.

    `state` OPEN means put off until `retry_at`. `event` is the kind of response, empty for none.
    """

    id: int
    state: str
    begun_at: datetime | None
    ended_at: datetime
    answer: str = ""
    event: str = ""
    reason: str = ""
    message_id: str = ""
    medium: str = ""
    retry_at: datetime | None = None


class Begun(NamedTuple):
    """A message whose hand-over has begun."""

    id: int
    at: datetime
    message_id: str
    medium: str


@dataclass(frozen=True)
class JournalContent:
    """What was read from a journal. `begun` has only those without an answer."""

    owner: Owner
    begun: dict[int, Begun] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)


class Journal:
    """The journal of one batch, held by its dispatcher from `create` until `remove` or its death."""

    def __init__(self, folder: Path, log: AppendLog) -> None:
        self._folder, self._log = folder, log
        self._unwritten: list[bytes] = []
        self._is_full = False

    @classmethod
    def create(cls, folder: Path, delivery: int, fence: int) -> Journal:
        """Start the journal of a batch. Raises SetupError if the folder cannot be written or the disk is full."""
        try:
            # a file that lies here under this name is of another database: fences are never used twice
            log = AppendLog.create(_file(folder, delivery, fence))
        except OSError as error:
            raise SetupError(
                f"The journal of a batch cannot be written below {folder}: {error.strerror}. Nothing was handed over. "
                "Give this account a local folder of its own: REKU_JOURNAL_DIR."
            ) from error
        journal = cls(folder, log)
        journal._note(("boot", _boot_id()))
        try:
            journal.flush()
        except SetupError:
            journal.close()
            raise
        return journal

    def begin(self, begun: Begun) -> None:
        """Note that the first byte of this mail is about to be sent; it is written when this returns.

        Raises SetupError if the disk is full.
        """
        self._note((_BEGUN, *begun))
        self.flush()
        if self._is_full:
            raise self._full_disk()

    def end(self, ended: Ended) -> None:
        """Note the answer to a mail; it is written with the next beginning or by `flush`.

        So a mail on each connection can be in doubt although it was answered, but none besides it.
        """
        self._note((_ENDED, *ended))

    def flush(self) -> None:
        """Write what was noted. Raises SetupError once if the disk is full; from then on nothing more is written."""
        if self._is_full or not self._unwritten:
            return
        lines = b"".join(self._unwritten)
        self._unwritten.clear()
        try:
            self._log.append(lines)
        except OSError as error:
            self._is_full = True
            raise self._full_disk() from error

    def close(self) -> None:
        """Let go of the journal: whoever recovers the delivery may read it now."""
        try:
            self.flush()
        finally:
            self._log.close()

    def remove(self) -> None:
        """Remove the journal: everything in it stands in the database by now."""
        self._log.remove()

    def _full_disk(self) -> SetupError:
        return SetupError(
            f"The disk of {self._folder} is full: no mail can be noted there, so none is handed over. Everything "
            "not handed over is still open: make room, then clear `dispatch`."
        )

    def _note(self, line: tuple[object, ...]) -> None:
        self._unwritten.append(_encode(line) + b"\n")


def read(folder: Path, delivery: int, fence: int) -> JournalContent:
    """What the journal of a batch says, and whether its dispatcher is alive. Raises SetupError if it is unreadable."""
    try:
        with reading(_file(folder, delivery, fence)) as journal:
            return _parsed(journal.read()) if journal.is_complete else JournalContent(Owner.ALIVE)
    except FileNotFoundError:
        return JournalContent(Owner.UNKNOWN)
    except OSError as error:
        raise SetupError(
            f"The journal {_file(folder, delivery, fence)} cannot be read: {error.strerror}. It says which mails are "
            "in doubt: let this account read it, then clear `dispatch`. Nothing was handed over."
        ) from error


def remove_settled(folder: Path, delivery: int) -> None:
    """Remove the journals of a delivery that nobody holds; only when each of its batches has been put right."""

    def remove(file: Path) -> None:
        with suppress(FileNotFoundError), reading(file) as journal:
            if journal.is_complete:
                journal.remove()

    # drafts as well; one that cannot be removed does no harm, and housekeeping names it
    one_by_one(folder.glob(f"{delivery}-*"), remove, named=str)


def _file(folder: Path, delivery: int, fence: int) -> Path:
    return folder / f"{delivery}-{fence}.journal"


def _parsed(lines: bytes) -> JournalContent:
    try:
        return _told([msgspec.json.decode(line) for line in lines.split(b"\n")[:-1]])
    except (ValueError, TypeError):  # blocks that never reached the disk read as zeros: nothing in it can be trusted
        return JournalContent(Owner.UNKNOWN)


def _told(lines: list[list[Any]]) -> JournalContent:
    complete = bool(lines) and lines[0] == ["boot", _boot_id()]
    begun: dict[int, Begun] = {}
    ended: list[Ended] = []
    for kind, *values in lines[1:]:
        if kind == _BEGUN:
            one = msgspec.convert(values, Begun)
            begun[one.id] = one
        else:
            ended.append(msgspec.convert(values, Ended))
            begun.pop(ended[-1].id, None)
    return JournalContent(Owner.DEAD if complete else Owner.UNKNOWN, begun, ended)


@cache
def _boot_id() -> str:
    """Names this start of the machine; a journal of an earlier one may have lost its end."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
