"""One compiled medium + one person = one mail, ready for SMTP (RFC 5322, 2046, 8058).

What stands in a mail: docs/domain.md, "What is in a mail". This runs once for every mail, so whatever is the same for
many is made once and kept: the bodies come half filled from `compile`; a sender's fields, a domain and the date are
remembered here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import NamedTuple

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from reku.catalogue.institute import Institute
from reku.channels.email.media import headers, pictures
from reku.channels.email.media.compile import CompiledMedium
from reku.channels.email.media.links import Links
from reku.channels.email.media.placeholders import ADDRESS, REFERENCE
from reku.foundation import clock, mail_proof
from reku.foundation.addresses import is_valid
from reku.foundation.errors import StageError
from reku.foundation.settings import settings

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@((?:[A-Za-z0-9]+[.-])*[A-Za-z0-9]+)")
"""An address in ASCII without quotes, and without `--` in its domain: neither needs a look at Unicode."""


_ALTERNATIVE = f'Content-Type: multipart/alternative; boundary="{mail_proof.BOUNDARY}"\r\n'
_RELATED = f'Content-Type: multipart/related; type="multipart/alternative";\r\n boundary="{pictures.BOUNDARY}"\r\n'
_BEFORE_PICTURES = f"--{pictures.BOUNDARY}\r\n{_ALTERNATIVE}\r\n".encode()
"""A mail with pictures is built as Exchange does it: the two parts first, then the pictures of the HTML.

So the proof covers all that is personal, and neither it nor anything else looks at the pictures again for each mail.
"""


class MailFault(StageError):
    """A person's data cannot become a mail. Names the field and the Referenz, never the value."""

    def __init__(self, field: str, reference: str, problem: str) -> None:
        self.field, self.reference = field, reference
        super().__init__(f"The field {field} of {reference} {problem}. Nothing was sent to this person.")


class Mail(NamedTuple):
    """A mail ready for SMTP.

    `data`: lines end in CRLF, have at most 998 bytes and never begin with a dot; ASCII unless `smtputf8`.
    """

    message_id: str
    envelope_from: str
    envelope_to: str
    data: bytes
    smtputf8: bool


def fill(
    compiled: CompiledMedium,
    person: Mapping[str, str],
    links: Links,
    *,
    order_number: str,
    delivery_number: int,
    message_id: str = "",
    mark: str = "",
) -> Mail:
    """The mail for one person.

    `person`: delivered fields by German name (docs/file-contracts.md). `message_id`: the one of an earlier try, if
    there was one. `mark`: what stands before the subject of a mail that is none of a delivery's. The
    sender is the advisor only if name and address are both there and the address lies in a domain of the institute;
    answers then go to the advisor as well.
    Raises MailFault for a control character in any value and for an address that no mail can be sent to, ValueError for
    one in the order's number or the Message-ID.
    """
    _refuse_control_characters(person)
    if not headers.is_safe(order_number + message_id):
        raise ValueError("a control character in an order number or a Message-ID")
    recipient = _deliverable(person)
    institute = compiled.institute
    values = compiled.values(
        person,
        links={name: links.click_url(number, url) for number, (name, url) in enumerate(compiled.links.items(), 1)},
        unsubscribe=links.unsubscribe_url,
        pixel=links.open_pixel_url or "",
    )
    text, html = compiled.bodies(values)
    sender = _sender(*_sender_of(person, institute))
    message_id = message_id or f"<{links.message_id}@{sender.domain}>"
    body = _body(text, html)
    kind = _ALTERNATIVE
    if compiled.attachments:
        kind, body = _RELATED, _BEFORE_PICTURES + body
    proof = f"{mail_proof.FIELD}: {links.proof(body)}\r\n" if links.proof else ""
    head = (
        f"{sender.fields}\r\n"
        f"{headers.mailbox('To', _shown_name(person), recipient)}\r\n"
        f"{headers.text('Subject', mark + values['Betreff'])}\r\n"
        f"Date: {_date(int(clock.now().timestamp()))}\r\n"
        f"Message-ID: {message_id}\r\n"
        f"List-Unsubscribe: <{links.unsubscribe_url}>\r\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        f"Feedback-ID: {delivery_number:06d}:{order_number}:{institute.blz}:reku\r\n"
        f"{proof}"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        f"{kind}"
        "\r\n"
    )
    return Mail(
        message_id,
        f"{links.return_path}@{settings().bounce_domain}",
        recipient,
        head.encode() + body + compiled.attachments,
        not (recipient.isascii() and sender.fields.isascii()),
    )


def _body(text: str, html: str) -> bytes:
    """The two parts, both quoted-printable already."""
    return (
        f"--{mail_proof.BOUNDARY}\r\n"
        'Content-Type: text/plain; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
        f"{text}\r\n"
        f"--{mail_proof.BOUNDARY}\r\n"
        'Content-Type: text/html; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
        f"{html}\r\n"
        f"--{mail_proof.BOUNDARY}--\r\n"
    ).encode()


def _refuse_control_characters(person: Mapping[str, str]) -> None:
    if headers.is_safe("".join(filter(None, person.values()))):
        return
    for field, value in person.items():
        if value and not headers.is_safe(value):
            raise MailFault(field, _reference(person), "holds a control character or a line break")


def _reference(person: Mapping[str, str]) -> str:
    return headers.UNSAFE.sub("?", person.get(REFERENCE) or "a row without Referenz")


def _deliverable(person: Mapping[str, str]) -> str:
    """The address as delivered, its domain as A-label, as SMTP wants it."""
    address = (person.get(ADDRESS) or "").strip()
    try:
        plain = _PLAIN_ADDRESS.fullmatch(address)
        if plain and _is_left_alone(plain[1]) and len(address) <= 254:
            return f"{plain[1]}@{_ascii_domain(plain[2])}"
        valid = _validated(address)
    except EmailNotValidError:
        raise MailFault(ADDRESS, _reference(person), "is not a mail address") from None
    return f"{valid.local_part}@{valid.ascii_domain}"


def _is_left_alone(local_part: str) -> bool:
    """Whether `email_validator` takes it as it is: it writes `Postmaster` and the like small, and has a limit."""
    return len(local_part) <= 64 and (local_part.islower() or not local_part.isalpha())


@lru_cache(maxsize=4096)
def _ascii_domain(domain: str) -> str:
    return _validated(f"a@{domain}").ascii_domain


def _validated(address: str) -> ValidatedEmail:
    return validate_email(
        address, check_deliverability=False, allow_smtputf8=True, globally_deliverable=False, strict=True
    )


def _shown_name(person: Mapping[str, str]) -> str:
    names = [(person.get(field) or "").strip() for field in ("Vorname", "Nachname")]
    return " ".join(name for name in names if name) or (person.get("Firma") or "").strip()


def _sender_of(person: Mapping[str, str], institute: Institute) -> tuple[str, str, str]:
    """Name, address and reply address of the sender (docs/domain.md, "Advisor and sender")."""
    name = (person.get("Berater_Absendername") or "").strip()
    address = (person.get("Berater_E-Mail") or "").strip()
    if name and address and institute.sender.covers(address) and _is_plain(address):
        return name, address, address
    bank = institute.sender
    return bank.name, bank.address, bank.reply_to or bank.address


class _SenderFields(NamedTuple):
    fields: str
    domain: str


@lru_cache(maxsize=4096)
def _sender(name: str, address: str, reply_to: str) -> _SenderFields:
    fields = f"{headers.mailbox('From', name, address)}\r\n{headers.mailbox('Reply-To', '', reply_to)}"
    return _SenderFields(fields, domain=address.rpartition("@")[2])


@lru_cache(maxsize=4096)
def _is_plain(address: str) -> bool:
    """Whether an advisor's address is valid and needs no SMTPUTF8 for the sake of the sender alone."""
    return address.isascii() and is_valid(address)


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return format_datetime(clock.berlin(datetime.fromtimestamp(second, UTC)))
