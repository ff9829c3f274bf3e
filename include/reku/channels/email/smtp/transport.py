"""One connection to the relay: opened by smtplib (STARTTLS, AUTH, EHLO), then driven by us without ever blocking."""

from __future__ import annotations

import re
import selectors
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from reku.channels.email.smtp.answers import LoginRefused, Lost, NoSession, Replies, SessionError
from reku.foundation.quoted_reply import quoted
from reku.foundation.settings import Settings

LONGEST_ANSWER_SECONDS = 120.0
"""From the first byte of a mail up to the answer to its final dot; later it is unanswered. RFC 5321 section 4.5.3.2.6
recommends ten minutes for the dot alone: a relay of the house that needs two is broken."""
DRAIN_SECONDS = 10.0
"""How long the answers of mails already begun are waited for once an error has ended the hand-over."""
TICK = 0.1
"""Seconds within which the queue's `heartbeat` is called again."""
_HOST_NAME = re.compile(
    r"(?=.{4,253}$)(?!localhost)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]*"
)
_ANOTHER_NAME = "; REKU_SMTP_HELO sets another name"
_SHOWN_COMMANDS = ("EHLO", "HELO", "STARTTLS")
_MECHANISMS = ("CRAM-MD5", "PLAIN", "LOGIN")
_CHUNK = 16384  # a whole record of TLS (RFC 8446 section 5.1): no selector would show what is left of one


@dataclass(frozen=True)
class Relay:
    """Where mails are handed over, and how patient we are (seconds).

    `helo`: our name in EHLO; "": the machine's. `pipelining`: whether to use what the relay offers (RFC 2920).
    """

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = True
    helo: str = ""
    pipelining: bool = True
    connect_seconds: float = 30.0  # TCP connect, and the TLS handshake
    command_seconds: float = 60.0  # each answer but that to a mail
    answer_seconds: float = LONGEST_ANSWER_SECONDS
    drain_seconds: float = DRAIN_SECONDS

    @classmethod
    def from_settings(cls, settings: Settings) -> Relay:
        """The relay of our settings REKU_SMTP_…"""
        password = settings.smtp_password.get_secret_value()
        return cls(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_user,
            password,
            settings.smtp_tls,
            settings.smtp_helo,
            settings.smtp_pipelining,
        )

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
            smtp.log_in(relay.user, relay.password)
        smtp.ehlo_or_helo_if_needed()
        return SmtpTransport(smtp.handed_out(), smtp.replies, _offers(smtp.esmtp_features, relay))
    except BaseException as error:  # an interruption as well must not leave the connection open
        if smtp is not None:
            smtp.close()
        if not isinstance(error, OSError | Lost | UnicodeError):  # smtplib's own errors are OSErrors
            raise
        # `from None`: the cause may quote what the server said about a person.
        raise _kind_of_failure(error)(
            f"No session with the relay {relay.place}: {_plain(error, smtp)}. Everything not handed over is still "
            "open. Check REKU_SMTP_HOST, _PORT, _TLS, _USER and _PASSWORD, then clear `dispatch`."
        ) from None


def _kind_of_failure(error: BaseException) -> type[SessionError | LoginRefused]:
    """Whether it is about us, and lasts until somebody mends it; or the relay is away, and comes back by itself."""
    match error:
        case smtplib.SMTPAuthenticationError(smtp_code=code) if code >= 500:
            return LoginRefused
        case smtplib.SMTPResponseException(smtp_code=code):
            return SessionError if code >= 500 else NoSession
        case smtplib.SMTPServerDisconnected() | Lost():
            return NoSession
        case smtplib.SMTPException() | ssl.SSLCertVerificationError() | UnicodeError():
            return SessionError
    return NoSession


class _Opening(smtplib.SMTP):
    """smtplib's commands, over our way of reading: with the same care for replies, and a heartbeat while it waits."""

    def __init__(self, relay: Relay, heartbeat: Callable[[], None]) -> None:
        self.replies = Replies()
        self.sent = ""
        self.tried: list[str] = []
        self._relay, self._heartbeat, self._seconds = relay, heartbeat, relay.command_seconds
        # the name is set below; smtplib would look it up, and take one that is none
        super().__init__(relay.host, relay.port, local_hostname="", timeout=relay.connect_seconds)
        self.local_hostname = relay.helo or (own_name(self.sock) if self.sock else "")

    def putcmd(self, cmd: str, args: str = "") -> None:
        """As smtplib's; what was sent is kept for messages, but nothing of a login."""
        verb = cmd.upper()
        self.sent = f"{verb} {args}".strip() if verb in _SHOWN_COMMANDS else "AUTH"
        super().putcmd(cmd, args)

    def log_in(self, user: str, password: str) -> None:
        """Log in by the first mechanism that both sides have and that does not fail; `tried`: those that did.

        Raises SMTPAuthenticationError with the last answer, and smtplib's other errors.
        """
        self.ehlo_or_helo_if_needed()
        if not self.has_extn("auth"):
            raise smtplib.SMTPNotSupportedError("AUTH")
        self.user, self.password = user, password
        offered = self.esmtp_features["auth"].upper().split()
        last: smtplib.SMTPAuthenticationError | None = None
        for mechanism in (name for name in _MECHANISMS if name in offered):
            try:
                self.auth(mechanism, getattr(self, f"auth_{mechanism.lower().replace('-', '_')}"))
            except smtplib.SMTPAuthenticationError as error:
                self.tried.append(f"{mechanism} (»{_said(error, user)}« came back)")
                last = error
            except UnicodeError:
                raise
            except ValueError:  # in the middle of it: RFC 4954 section 4 has `*` for that
                self.tried.append(f"{mechanism} (it cannot be computed here: is MD5 switched off?)")
                self.docmd("*")
            else:
                return
        if not self.tried:
            self.tried.append(f"none: it offers {' '.join(offered)}, we have {' '.join(_MECHANISMS)}")
        raise last or smtplib.SMTPNotSupportedError("AUTH")

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
            raise Lost(f"closed the connection with »421 {quoted(reply.text.decode('utf-8', 'replace'))}«")
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


def own_name(sock: socket.socket) -> str:
    """Who we are in EHLO: the machine's full name, or its address where that is none (RFC 5321 section 4.1.4)."""
    name = socket.getfqdn()
    if _HOST_NAME.fullmatch(name):
        return name
    address = str(sock.getsockname()[0])
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _offers(features: dict[str, str], relay: Relay) -> Offers:
    size = features.get("size", "")
    return Offers(
        pipelining=relay.pipelining and "pipelining" in features,
        takes_size="size" in features,
        size=int(size) if size.isascii() and size.isdigit() else 0,
        eight_bit="8bitmime" in features,
        smtputf8="smtputf8" in features,
    )


def _plain(error: BaseException, smtp: _Opening | None) -> str:
    """What went wrong: what was sent, and what came back."""
    sent = smtp.sent if smtp is not None else ""
    tried = f"; logins tried: {', '.join(smtp.tried)}" if smtp is not None and smtp.tried else ""
    if isinstance(error, Lost):
        return f"it {error}" + (f" after `{sent}`" if sent else "") + tried
    if tried:
        return f"{_kind(error)}{tried}"
    if isinstance(error, smtplib.SMTPResponseException):
        hint = _ANOTHER_NAME if isinstance(error, smtplib.SMTPHeloError) else ""
        return f"{_kind(error)}: after `{sent or 'connecting'}` »{_said(error)}« came back{hint}"
    if smtp is not None and smtp.ehlo_resp is not None and not smtp.does_esmtp:
        refusal = quoted(smtp.ehlo_resp.decode("utf-8", "replace"))
        return f"{_kind(error)}: after `EHLO {smtp.local_hostname}` »{refusal}« came back{_ANOTHER_NAME}"
    if isinstance(error, UnicodeError):
        return "its name, the user or the password holds characters that cannot be sent"
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or type(error).__name__


def _kind(error: BaseException) -> str:
    code = f" with {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
    return f"{type(error).__name__}{code}"


def _said(error: smtplib.SMTPResponseException, *about: str) -> str:
    text = error.smtp_error
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return f"{error.smtp_code} {quoted(words, *about)}".strip()
