"""A server of return mails that never comes to an end, or sends more than it was asked for."""

from __future__ import annotations

import imaplib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from reku.foundation.errors import PassingError
from reku.mailbox import bounded_imap
from reku.mailbox.bounded_imap import BoundedImap
from reku.mailbox.imap import _plain_errors

Says = Callable[[socket.socket], None]


@contextmanager
def serving(says: Says) -> Iterator[int]:
    """A server for one client on a free loopback port; says what it says when the client has asked for something."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError), listener.accept()[0] as line:
                says(line)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        assert not thread.is_alive()


def for_ever(what: bytes) -> Says:
    def say(line: socket.socket) -> None:
        while True:
            line.sendall(what)

    return say


def after_the_greeting(what: bytes, then: Says) -> Says:
    """Answers CAPABILITY, which imaplib asks at once, then goes on as it likes."""

    def say(line: socket.socket) -> None:
        line.sendall(b"* OK ready\r\n")
        tag = line.recv(1000).split()[0]
        line.sendall(b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n")
        line.recv(1000)
        line.sendall(what)
        then(line)

    return say


def silent(line: socket.socket) -> None:
    line.recv(1000)


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (for_ever(b"x"), "bytes"),
        (after_the_greeting(b"", for_ever(b"* 1 EXISTS\r\n")), "answers with more than"),
        (after_the_greeting(b"* 1 FETCH (BODY[] {400000000}\r\n", silent), "answers with more than"),
    ],
    ids=["a greeting without end", "lines without end", "a literal beyond all measure"],
)
def test_a_server_that_sends_too_much_is_left(says: Says, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_imap, "MOST_BYTES", 200_000)
    with serving(says) as port, pytest.raises(PassingError, match=told), _plain_errors("the server"):
        asked(port, seconds=60)


@pytest.mark.parametrize("says", [silent, after_the_greeting(b"", silent)], ids=["no greeting", "no answer"])
def test_a_session_ends_in_time(says: Says) -> None:
    with serving(says) as port, pytest.raises(PassingError, match="within 0 s"), _plain_errors("the server"):
        asked(port, seconds=0.2)


def test_a_session_that_has_ended_leaves_nothing() -> None:
    def say(line: socket.socket) -> None:
        line.sendall(b"* OK ready\r\n")
        while command := line.recv(1000):
            tag, name = command.split()[:2]
            line.sendall(b"* CAPABILITY IMAP4rev1\r\n" * (name == b"CAPABILITY") + tag + b" OK done\r\n")

    with serving(say) as port:
        client = BoundedImap("127.0.0.1", port, seconds=60, timeout=10)
        client.logout()
        client._timer.join(10)
        assert not client._timer.is_alive()


def asked(port: int, seconds: float) -> None:
    client = BoundedImap("127.0.0.1", port, seconds=seconds, timeout=30)
    try:
        client.expect_answer()
        client.noop()
    finally:
        with suppress(OSError, imaplib.IMAP4.error):
            client.shutdown()
