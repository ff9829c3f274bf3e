"""Mails are read where they may be killed: in a process of its own, with a time for each.

What a mail costs grows with its bytes: a small one is read here, in some tenths of a second at most; a large one is
given to the child. One that takes too long, or ends the child, is UNCLEAR, and the next one has a new child.
"""

from __future__ import annotations

import logging
import resource
import select
import struct
import subprocess
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import IO, Self

import msgspec

from reku.foundation.errors import RekuError, SetupError
from reku.foundation.private_files import keep_private
from reku.responses.reports import Understood, understand
from reku.store.kinds import ReportKind

log = logging.getLogger(__name__)

SMALL = 16_000
"""Bytes up to which a mail is read in this process."""
SECONDS = 5.0
"""How long a large one may take; the time to start the child is not counted."""
_START_SECONDS = 60.0
_MEMORY = 1_500_000_000
_LENGTH = struct.Struct(">Q")
TOO_LONG = "reading it took too long or too much memory"


class _Answer(msgspec.Struct):
    """What the child says of a mail: what it means, or that none can be judged."""

    understood: Understood | None = None
    fault: str = ""


class MailReader:
    """Reads mails, one after the other; to be closed in the end."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, data: bytes) -> Understood:
        """What a mail means. Raises SetupError without token keys or with broken rules: then no mail can be judged."""
        if len(data) <= SMALL:
            return understand(data)
        answer = self._asked(data)
        if answer is None:
            log.warning("a mail of the return mailbox was given up: %s", TOO_LONG)
            self.close()
            return Understood(ReportKind.UNCLEAR, why=TOO_LONG)
        if answer.understood is None:
            raise SetupError(answer.fault)
        return answer.understood

    def close(self) -> None:
        """End the child, whatever it does."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _asked(self, data: bytes) -> _Answer | None:
        child = self._child or self._started()
        if child is None or child.stdin is None or child.stdout is None:
            return None
        try:
            child.stdin.write(_LENGTH.pack(len(data)) + data)
            child.stdin.flush()
        except OSError:
            return None
        told = _received(child.stdout, time.monotonic() + self._seconds)
        return None if told is None else msgspec.json.decode(told, type=_Answer)

    def _started(self) -> subprocess.Popen[bytes] | None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "reku.responses.mail_reader"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        told = self._child.stdout
        return self._child if told and _received(told, time.monotonic() + _START_SECONDS) is not None else None


def _received(pipe: IO[bytes], until: float) -> bytes | None:
    """The next message of a child; None if it does not come in time, or the child is gone."""
    head = _exactly(pipe, _LENGTH.size, until)
    return None if head is None else _exactly(pipe, _LENGTH.unpack(head)[0], until)


def _exactly(pipe: IO[bytes], size: int, until: float) -> bytes | None:
    got = b""
    while len(got) < size:
        ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
        some = pipe.read(size - len(got)) if ready else b""
        if not some:
            return None
        got += some
    return got


def _serve(incoming: IO[bytes], outgoing: IO[bytes]) -> None:
    """The child: say that it is there, then answer mail by mail until nobody asks any more."""

    def send(message: bytes) -> None:
        outgoing.write(_LENGTH.pack(len(message)) + message)
        outgoing.flush()

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    send(b"")
    while head := incoming.read(_LENGTH.size):
        data = incoming.read(_LENGTH.unpack(head)[0])
        try:
            answer = _Answer(understand(data))
        except RekuError as error:
            answer = _Answer(fault=str(error))
        send(msgspec.json.encode(answer))


if __name__ == "__main__":
    keep_private()
    with suppress(KeyboardInterrupt, BrokenPipeError):
        _serve(sys.stdin.buffer, sys.stdout.buffer)
