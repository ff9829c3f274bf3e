"""Hand one mail after the other to the relay over a kept SMTP connection (RFC 5321).

Only the answer to this person's RCPT or DATA says anything about the person. An answer to the session (banner,
STARTTLS, AUTH, MAIL FROM) or a broken connection before the final dot is the relay's trouble and ends the dispatch.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Protocol

from reku.errors import PassingError
from reku.settings import Settings

ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")


class Outcome(StrEnum):
    """What the server said about one mail."""

    ACCEPTED = "ACCEPTED"  # 250 after the final dot
    REFUSED = "REFUSED"  # 5xx to this RCPT or DATA: will not get better
    LATER = "LATER"  # 4xx to this RCPT or DATA: try again
    UNADDRESSABLE = "UNADDRESSABLE"  # the address needs SMTPUTF8 and the relay does not offer it


@dataclass(frozen=True)
class Answer:
    """The server's answer about one mail: `code` and `enhanced` status are kept, `text` only serves classification."""

    outcome: Outcome
    code: int = 0
    enhanced: str = ""
    text: str = ""

    @property
    def short(self) -> str:
        """Code and enhanced status, for the ledger: no text, it may quote an address."""
        return f"{self.code} {self.enhanced}".strip()


class Handable(Protocol):
    """What is needed of a filled mail."""

    @property
    def envelope_from(self) -> str: ...
    @property
    def envelope_to(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def smtputf8(self) -> bool: ...


class SessionError(PassingError):
    """The relay refused or dropped the session. `begun_unanswered`: the mail in hand may have been taken."""

    def __init__(self, text: str, *, begun_unanswered: bool) -> None:
        super().__init__(text)
        self.begun_unanswered = begun_unanswered


class Relay:
    """A kept connection to the relay. Use as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Relay:
        self._connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._smtp is not None:
            self._smtp.close() if error else self._quit()

    def hand_over(self, mail: Handable) -> Answer:
        """Hand over one mail. Raises SessionError when the relay, not the person, is the trouble."""
        smtp = self._smtp or self._connect()
        if mail.smtputf8 and not smtp.has_extn("smtputf8"):
            return Answer(Outcome.UNADDRESSABLE)
        dotted = False
        try:
            smtp.ehlo_or_helo_if_needed()
            options = [f"size={len(mail.data)}"] if smtp.has_extn("size") else []
            options += [] if mail.data.isascii() or not smtp.has_extn("8bitmime") else ["body=8bitmime"]
            options += ["SMTPUTF8"] if mail.smtputf8 else []
            smtp.command_encoding = "utf-8" if mail.smtputf8 else "ascii"
            code, text = smtp.mail(mail.envelope_from, options)
            if code != 250:
                raise self._refused_session("MAIL FROM", code, text)
            code, text = smtp.rcpt(mail.envelope_to)
            if code // 100 != 2:  # the first digit decides (RFC 5321 section 4.3.2)
                smtp.rset()
                return _answer(code, text)
            code, text = smtp.docmd("data")
            if code // 100 == 2:  # taken for the answer to a mail, it would be a mail that was never sent
                raise smtplib.SMTPServerDisconnected(f"an answer to DATA that is no SMTP: {code}")
            if code != 354:
                smtp.rset()
                return _answer(code, text)
            dotted = True  # from the first byte on we cannot know how far the server got
            smtp.send(_dot_stuffed(mail.data))
            code, text = smtp.getreply()
            return _answer(code, text)
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            raise SessionError(
                f"The relay {self._place} ended the session ({type(error).__name__}). Everything not handed over is "
                "still open: clear `dispatch` once the relay answers again.",
                begun_unanswered=dotted,
            ) from error

    @property
    def _place(self) -> str:
        return f"{self._settings.smtp_host}:{self._settings.smtp_port}"

    def _connect(self) -> smtplib.SMTP:
        s = self._settings
        try:
            smtp = smtplib.SMTP(s.smtp_host, s.smtp_port, timeout=60)
            if s.smtp_tls:
                smtp.starttls(context=ssl.create_default_context())  # smtplib alone would take any certificate
            if s.smtp_user:
                smtp.login(s.smtp_user, s.smtp_password.get_secret_value())
            smtp.ehlo_or_helo_if_needed()
        except (smtplib.SMTPException, OSError) as error:
            raise SessionError(
                f"No session with the relay {self._place}: {_plain(error)}. Nothing was handed over. Check "
                "REKU_SMTP_HOST, _PORT, _TLS, _USER and _PASSWORD, then clear `dispatch`.",
                begun_unanswered=False,
            ) from error
        self._smtp = smtp
        return smtp

    def _refused_session(self, command: str, code: int, text: bytes) -> SessionError:
        status = _answer(code, text).short
        self._drop()
        return SessionError(
            f"The relay {self._place} refused {command} with {status}: that is about us, not about the person. "
            "Everything not handed over is still open: have the relay accept our sender, then clear `dispatch`.",
            begun_unanswered=False,
        )

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None

    def _quit(self) -> None:
        if self._smtp is None:
            return
        try:
            self._smtp.quit()
        except (smtplib.SMTPException, OSError):
            self._smtp.close()  # every mail is answered by now; a relay that hangs up first changes nothing


def _answer(code: int, text: bytes) -> Answer:
    shown = text.decode("utf-8", "replace")
    enhanced = ENHANCED.match(shown)
    kinds = {2: Outcome.ACCEPTED, 4: Outcome.LATER, 5: Outcome.REFUSED}
    if code // 100 not in kinds:
        raise smtplib.SMTPServerDisconnected(f"an answer that is no SMTP: {code}")
    return Answer(kinds[code // 100], code, enhanced.group(1) if enhanced else "", shown)


def _dot_stuffed(data: bytes) -> bytes:
    """The mail as it goes over the line (RFC 5321 section 4.5.2), with its final dot."""
    stuffed = re.sub(rb"(?m)^\.", b"..", data)
    return stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _plain(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} with {error.smtp_code}"
    return type(error).__name__ if not isinstance(error, OSError) else (error.strerror or type(error).__name__)
