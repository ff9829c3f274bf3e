"""The standard library's IMAP client within bounds of time and bytes: a server may not hold or fill its client.

imaplib waits for each byte up to its time-out, and takes whatever length a server announces.
"""

from __future__ import annotations

import imaplib
import socket
import threading
from contextlib import suppress
from typing import Any

MOST_BYTES = 10_000_000
"""Bytes that a server may answer to one command: twenty mails as far as they are read, or the numbers of 50,000."""


class BoundedImap(imaplib.IMAP4):
    """A session that ends itself after so many `seconds`, or when one answer is larger than `MOST_BYTES`.

    Both raise imaplib's `abort`, as any lost connection does. `expect_answer` begins the count anew.
    """

    def __init__(self, host: str, port: int, *, seconds: float, **how: Any) -> None:
        self._seconds, self._left, self._is_over = seconds, MOST_BYTES, False
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        super().__init__(host, port, **how)

    def expect_answer(self) -> None:
        """A command follows: its answer has the whole room again."""
        self._left = MOST_BYTES

    def open(self, *place: Any, **how: Any) -> None:
        """Connect; the time runs from now on."""
        super().open(*place, **how)
        self._timer.start()

    def shutdown(self) -> None:
        """Close the connection."""
        self._timer.cancel()
        super().shutdown()

    def readline(self) -> bytes:
        """One line of the server."""
        line = super().readline()
        if self._is_over:
            raise self.abort(f"the server did not come to an end within {self._seconds:.0f} s")
        self._take(len(line))
        return line

    def read(self, size: int) -> bytes:
        """A text of that length, which the server has announced."""
        self._take(size)
        return super().read(size)

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self.abort(f"the server answers with more than {MOST_BYTES:,} bytes, whatever it is asked")

    def _end(self) -> None:
        self._is_over = True
        with suppress(OSError):  # it may have been closed just now
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class BoundedImapTls(BoundedImap, imaplib.IMAP4_SSL):
    """The same over TLS from the first byte on."""
