"""One compiled medium + one person = one mail, ready for SMTP (domain.md 3.2, 4.3; RFC 5322, 2046, 8058)."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from reku import clock
from reku.addresses import is_valid
from reku.catalogue.models import Institute
from reku.errors import StageError
from reku.mailing import headers
from reku.mailing.compile import CompiledMedium
from reku.mailing.links import Links
from reku.settings import settings

_BOUNDARY = "=_reku"  # quoted-printable never writes `=_`, so no part can contain it


class MailFault(StageError):
    """A person's data cannot become a mail. Names the field and the Referenz, never the value."""

    def __init__(self, field: str, reference: str, problem: str) -> None:
        self.field, self.reference = field, reference
        super().__init__(f"The field {field} of {reference} {problem}. Nothing was sent to this person.")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail ready for SMTP. `data`: CRLF, lines of at most 998 bytes, ASCII unless `smtputf8`."""

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
) -> Mail:
    """The mail for one person.

    `person`: delivered fields by German name (9.3, 9.4). The sender is the advisor only if name and address are both
    there and the address lies in a domain of the institute; answers then go to the advisor as well.
    Raises MailFault for a control character in any value and for an address that no mail can be sent to.
    """
    _refuse_control_characters(person)
    recipient = _deliverable(person)
    institute = compiled.institute
    content = compiled.render(
        person,
        links={name: links.click_url(number, url) for number, (name, url) in enumerate(compiled.links.items(), 1)},
        unsubscribe=links.unsubscribe_url,
        pixel=links.open_pixel_url or "",
    )
    sender_name, sender, reply_to = _sender(person, institute)
    message_id = f"<{links.reference}@{sender.rpartition('@')[2]}>"
    head = (
        headers.mailbox("From", sender_name, sender),
        headers.mailbox("To", _shown_name(person), recipient),
        headers.mailbox("Reply-To", "", reply_to),
        headers.text("Subject", content.subject),
        f"Date: {format_datetime(clock.berlin(clock.now()))}",
        f"Message-ID: {message_id}",
        f"List-Unsubscribe: <{links.unsubscribe_url}>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        f"Feedback-ID: {delivery_number:06d}:{order_number}:{institute.blz}:reku",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"',
    )
    data = b"\r\n".join(
        (
            *(line.encode() for line in head),
            b"",
            *_part("plain", content.text),
            *_part("html", content.html),
            f"--{_BOUNDARY}--".encode(),
            b"",
        )
    )
    return Mail(
        message_id,
        envelope_from=f"b+{links.reference}@{settings().bounce_domain}",
        envelope_to=recipient,
        data=data,
        smtputf8=not (recipient.isascii() and sender.isascii() and reply_to.isascii()),
    )


def _part(kind: str, text: str) -> tuple[bytes, ...]:
    body = text.replace("\r\n", "\n").replace("\n", "\r\n") + ("" if text.endswith("\n") else "\r\n")
    return (
        f"--{_BOUNDARY}".encode(),
        f'Content-Type: text/{kind}; charset="utf-8"'.encode(),
        b"Content-Transfer-Encoding: quoted-printable",
        b"",
        # The break before the boundary is the boundary's; b2a_qp takes CRLF for its soft breaks from the text.
        binascii.b2a_qp(body.encode()),
    )


def _refuse_control_characters(person: Mapping[str, str]) -> None:
    for field, value in person.items():
        if value and headers.UNSAFE.search(value):
            reference = headers.UNSAFE.sub("?", person.get("Referenz") or "a row without Referenz")
            raise MailFault(field, reference, "holds a control character or a line break")


def _deliverable(person: Mapping[str, str]) -> str:
    """The address as delivered, its domain as A-label, as SMTP wants it."""
    try:
        valid = validate_email(
            (person.get("EMail") or "").strip(),
            check_deliverability=False,
            allow_smtputf8=True,
            globally_deliverable=False,
            strict=True,
        )
    except EmailNotValidError:
        reference = person.get("Referenz") or "a row without Referenz"
        raise MailFault("EMail", reference, "is not a mail address") from None
    return f"{valid.local_part}@{valid.ascii_domain}"


def _shown_name(person: Mapping[str, str]) -> str:
    names = [(person.get(field) or "").strip() for field in ("Vorname", "Nachname")]
    return " ".join(name for name in names if name) or (person.get("Firma") or "").strip()


def _sender(person: Mapping[str, str], institute: Institute) -> tuple[str, str, str]:
    """Name, address and reply address of the sender (domain.md 2.1, 9.3 fields 18 and 19)."""
    name = (person.get("Berater_Absendername") or "").strip()
    address = (person.get("Berater_E-Mail") or "").strip()
    if name and address and institute.sender.covers(address) and _is_plain(address):
        return name, address, address
    bank = institute.sender
    return bank.name, bank.address, bank.reply_to or bank.address


@lru_cache(maxsize=4096)
def _is_plain(address: str) -> bool:
    """Whether an advisor's address is valid and needs no SMTPUTF8 for the sake of the sender alone."""
    return address.isascii() and is_valid(address)
