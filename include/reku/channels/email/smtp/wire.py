"""How a mail is said in SMTP: the commands of its envelope, and its content (RFC 5321, 1870, 6152, 6531)."""

from __future__ import annotations

import re
from typing import Protocol

from reku.channels.email.smtp.transport import Offers

_UNSAYABLE = re.compile(r"[\x00-\x20\x7f-\x9f<>\ud800-\udfff]")
_DOTTED = re.compile(rb"\n\.")  # on lines of a mail's length twice as fast as `in`


class SmtpMail(Protocol):
    """What is needed of a filled mail. `data`: lines end with CRLF."""

    @property
    def envelope_from(self) -> str: ...
    @property
    def envelope_to(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def smtputf8(self) -> bool: ...


def needs_smtputf8(mail: SmtpMail) -> bool:
    """Whether the relay must offer SMTPUTF8 (RFC 6531) for this mail."""
    return mail.smtputf8 or not (mail.envelope_to.isascii() and mail.envelope_from.isascii())


def is_sayable(mail: SmtpMail) -> bool:
    """Whether its addresses can stand in a command: no control character, which would end it, no blank, no bracket."""
    return not _UNSAYABLE.search(mail.envelope_to + mail.envelope_from)


def envelope_of(mail: SmtpMail, offers: Offers) -> bytes:
    """MAIL, RCPT and DATA, with the options that the relay offers and the mail needs (RFC 1870, 6152, 6531)."""
    size = f" SIZE={len(mail.data)}" if offers.takes_size else ""
    body = " BODY=8BITMIME" if offers.eight_bit and not mail.data.isascii() else ""
    utf8 = " SMTPUTF8" if needs_smtputf8(mail) else ""
    return f"MAIL FROM:<{mail.envelope_from}>{size}{body}{utf8}\r\nRCPT TO:<{mail.envelope_to}>\r\nDATA\r\n".encode()


def content_of(data: bytes) -> bytes:
    """The mail as it goes over the line (RFC 5321 section 4.5.2), with its final dot."""
    if _DOTTED.search(data) or data.startswith(b"."):
        data = re.sub(rb"(?m)^\.", b"..", data)
    return data + (b".\r\n" if data.endswith(b"\r\n") else b"\r\n.\r\n")
