"""One connection to the relay: opened by smtplib (STARTTLS, AUTH, EHLO), then driven by us without ever blocking."""

from __future__ import annotations

import selectors
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from reku.channels.email.smtp.answers import LoginRefused, Lost, Replies, SessionError
from reku.foundation.settings import Settings

LONGEST_ANSWER_SECONDS = 120.0
"""From the first byte of a mail up to the answer to its final dot; later it is unanswered. RFC 5321 section 4.5.3.2.6
recommends ten minutes for the dot alone: a relay of the house that needs two is broken."""
DRAIN_SECONDS = 10.0
"""How long the answers of mails already begun are waited for once an error has ended the hand-over."""
TICK = 0.1
"""Seconds within which the queue's `heartbeat` is called again."""
_CHUNK = 16384  # a whole record of TLS (RFC 8446 section 5.1): no selector would show what is left of one


@dataclass(frozen=True)
class Relay:
    """Where mails are handed over, and how patient we are (seconds)."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = True
    connect_seconds: float = 30.0  # TCP connect, and the TLS handshake
    command_seconds: float = 60.0  # each answer but that to a mail
    answer_seconds: float = LONGEST_ANSWER_SECONDS
    drain_seconds: float = DRAIN_SECONDS

    @classmethod
    def from_settings(cls, settings: Settings) -> Relay:
        """The relay of our settings REKU_SMTP_…"""
        password = settings.smtp_password.get_secret_value()
        return cls(settings.smtp_host, settings.smtp_port, settings.smtp_user, password, settings.smtp_tls)

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Offers:
    """What the relay offers in its answer to EHLO. `size`: the most bytes of a mail, 0 if it names none."""

    pipelining: bool = False
    takes_size: bool = False
    size: int = 0
    eight_bit: bool = False
    smtputf8: bool = False


class SmtpTransport:
    """An open connection. Nothing here blocks; a connection that has ended shows when it is read from."""

    def __init__(self, sock: socket.socket, replies: Replies, offers: Offers) -> None:
        sock.setblocking(False)
        self.socket, self.replies, self.offers = sock, replies, offers
        self._unsent = memoryview(b"")
        self._ended = False

    @property
    def unsent(self) -> int:
        """Bytes that the connection has not taken yet."""
        return len(self._unsent)

    @property
    def waits_to_send(self) -> bool:
        """Whether `flush` is to be called once the connection takes more."""
        return bool(self._unsent) and not self._ended

    def send(self, data: bytes) -> None:
        """Send what goes now; `flush` sends the rest."""
        self._unsent = memoryview(bytes(self._unsent) + data if self._unsent else data)
        self.flush()

    def flush(self) -> None:
        """Send more of what is unsent, as much as goes now."""
        try:
            while self.waits_to_send:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            self._ended = True  # reading tells so as well, after the answers that came before the end

    def receive(self) -> None:
        """Put what has arrived into `replies`. Raises Lost at the connection's end."""
        try:
            self.replies.feed(_received(self.socket))
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return

    def close(self) -> None:
        """Close the connection without a word."""
        self.socket.close()


def open_transport(relay: Relay, heartbeat: Callable[[], None]) -> SmtpTransport:
    """Connect, with TLS and login where the relay is set up so. Calls `heartbeat` while it waits for answers.

    Only a TCP connect and a TLS handshake block, each for `relay.connect_seconds` at most.
    Raises SessionError or LoginRefused saying what to check.
    """
    smtp = None
    try:
        smtp = _Opening(relay, heartbeat)
        if relay.tls:
            smtp.starttls(context=ssl.create_default_context())  # smtplib alone would take any certificate
        if relay.user:
            smtp.login(relay.user, relay.password)
        smtp.ehlo_or_helo_if_needed()
        return SmtpTransport(smtp.handed_out(), smtp.replies, _offers(smtp.esmtp_features))
    except BaseException as error:  # an interruption as well must not leave the connection open
        if smtp is not None:
            smtp.close()
        if not isinstance(error, OSError | Lost | UnicodeError):  # smtplib's own errors are OSErrors
            raise
        refused = isinstance(error, smtplib.SMTPAuthenticationError) and error.smtp_code >= 500
        # `from None`: the cause may quote what the server said.
        raise (LoginRefused if refused else SessionError)(
            f"No session with the relay {relay.place}: {_plain(error)}. Everything not handed over is still open. "
            "Check REKU_SMTP_HOST, _PORT, _TLS, _USER and _PASSWORD, then clear `dispatch`."
        ) from None


class _Opening(smtplib.SMTP):
    """smtplib's commands, over our way of reading: with the same care for replies, and a heartbeat while it waits."""

    def __init__(self, relay: Relay, heartbeat: Callable[[], None]) -> None:
        self.replies = Replies()
        self._heartbeat, self._seconds = heartbeat, relay.command_seconds
        super().__init__(relay.host, relay.port, timeout=relay.connect_seconds)

    def getreply(self) -> tuple[int, bytes]:
        """The next reply, as smtplib wants it."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("closed")
        try:
            return self._awaited(self.sock)
        except BaseException:
            self.close()  # nobody else could while `__init__` still waits for the banner
            raise

    def starttls(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """As smtplib's. Raises Lost if something came in clear behind the server's consent: it would pass for TLS."""
        answer = super().starttls(*args, **kwargs)
        if self.replies.left:
            raise Lost("said more than was asked before TLS")
        return answer

    def handed_out(self) -> socket.socket:
        """The connection, no longer smtplib's. Raises Lost if something came unasked."""
        if self.replies.left:
            raise Lost("said more than was asked")
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("closed")
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock, self.sock = self.sock, None
        return sock

    def _awaited(self, sock: socket.socket) -> tuple[int, bytes]:
        end = time.monotonic() + self._seconds
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ)
            while (reply := self.replies.next()) is None:
                self._heartbeat()
                if time.monotonic() > end:
                    raise Lost("did not answer in time")
                if selector.select(TICK / 2):
                    self.replies.feed(_received(sock))
        if reply.code == 421:
            raise Lost("closed the connection with 421")
        return reply


def _received(sock: socket.socket) -> bytes:
    """What has arrived. Raises Lost at the connection's end, and what a socket raises if nothing has arrived."""
    try:
        data = sock.recv(_CHUNK)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        raise
    except OSError as error:
        raise Lost(f"broke the connection off ({type(error).__name__})") from error
    if not data:
        raise Lost("closed the connection")
    return data


def _offers(features: dict[str, str]) -> Offers:
    size = features.get("size", "")
    return Offers(
        pipelining="pipelining" in features,
        takes_size="size" in features,
        size=int(size) if size.isascii() and size.isdigit() else 0,
        eight_bit="8bitmime" in features,
        smtputf8="smtputf8" in features,
    )


def _plain(error: BaseException) -> str:
    if isinstance(error, Lost):
        return f"it {error}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} with {error.smtp_code}"
    if isinstance(error, UnicodeError):
        return "its name, the user or the password holds characters that cannot be sent"
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or type(error).__name__
