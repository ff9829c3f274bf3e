"""Understanding a mail in the return mailbox: delivery report, complaint, automatic answer, or nothing we know.

Pure functions over the bytes of one mail. Whom it is about is said by a signed token alone: the one in the address to
which the mail came (VERP), for complaints also those in our own mail that is attached. An address in the text is never
believed, so that a forged report can do no harm to anybody else.
"""

from __future__ import annotations

import base64
import binascii
import email
import logging
import quopri
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from enum import StrEnum

from flufl.bounce import all_failures

from reku.catalogue.bounce_rules import BounceClass, BounceDecision, bounce_rules, classify_bounce
from reku.foundation.errors import RekuError
from reku.foundation.tokens import Purpose, Target, read

log = logging.getLogger(__name__)
logging.getLogger("flufl.bounce").disabled = True  # it logs tracebacks for broken mails, with what stands in them


class Kind(StrEnum):
    """What a mail in the return mailbox is."""

    BOUNCE = "BOUNCE"  # a mail of ours came back, see the verdict
    COMPLAINT = "COMPLAINT"  # somebody pressed "spam"
    IGNORED = "IGNORED"  # automatic answer, delay notice, read receipt: nothing to do
    UNCLEAR = "UNCLEAR"  # a person has to look


NO_BOUNCE = BounceDecision(BounceClass.NONE, "")


@dataclass(frozen=True)
class Understood:
    """One mail of the return mailbox: what it is and which message of the ledger it is about.

    `message` is 0 where no valid token says it. `why`: what decided, for people who look the mail up.
    """

    kind: Kind
    message: int = 0
    verdict: BounceDecision = NO_BOUNCE
    why: str = field(default="", compare=False)


_VERP = re.compile(r"(?<![A-Za-z0-9._+-])b\+([A-Za-z0-9._-]+)@", re.IGNORECASE)
_UNSUBSCRIBE = re.compile(r"/u/([A-Za-z0-9._-]+)")
_ENVELOPE_FIELDS = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To", "Cc", "Resent-To")
_WORST_FIRST = (BounceClass.HARD, BounceClass.BLOCK, BounceClass.SOFT, BounceClass.UNKNOWN, BounceClass.NONE)
_QUOTED_MAIL = re.compile(
    r"^--.*\b(below this line is a copy|this is a copy|original message|returned message|ursprüngliche nachricht)",
    re.IGNORECASE | re.MULTILINE,
)
"""Two dashes and not `-{2,}`, which means the same: with `.*` behind it, its time grows with the square of a line."""
_BLANK_LINES = re.compile(r"\n[ \t\r]*\n")
_MAX_TEXT = 20_000
_MAX_LINE = 1_000
_CONTINUED = re.compile(rb"((?:\n[ \t][^\n]*){30})(?:\n[ \t][^\n]*)+")
_MAX_LINES = 5_000
_MAX_MULTIPARTS = 50
"""No mail system nests or forwards so much; the parser's time grows with lines times depth."""


def understand(data: bytes) -> Understood:
    """What the mail means. Whatever bytes come: one that no parser can read is UNCLEAR.

    Raises SetupError without token keys, ConfigError for broken rules: then no mail can be judged.
    """
    data = _tamed(data)
    try:
        return _understand(data)
    except RekuError:
        raise
    except Exception as error:  # noqa: BLE001 # the stdlib and flufl.bounce raise all sorts of errors on broken mails
        log.warning("a mail of the return mailbox cannot be parsed (%s)", type(error).__name__)
        return _unclear(_whom(BytesHeaderParser().parsebytes(data)), "it cannot be parsed")


def _understand(data: bytes) -> Understood:
    if data.lower().count(b"boundary=") > _MAX_MULTIPARTS:
        raise ValueError(f"more than {_MAX_MULTIPARTS} multiparts")
    mail = email.message_from_bytes(data)
    about = _whom(mail)
    parts = _by_type(mail)
    if "message/disposition-notification" in parts:
        return _ignored(about, "A read receipt (RFC 8098) says nothing about delivery.")
    report = parts.get("message/delivery-status") or parts.get("message/global-delivery-status")
    if report is not None:
        return _bounce(about, _verdict(_blocks(report)))
    if (complaint := parts.get("message/feedback-report")) is not None:
        return _complaint(mail, complaint, about)
    if _is_automatic(mail):
        return _ignored(about, "A machine answers for a person (RFC 3834).")
    reason = _reason_in_text(mail)
    _cut_attached_mails(mail)  # flufl.bounce would take the words of a mail of ours, or a report in it, for the report
    temporary, permanent = all_failures(mail)
    if permanent:
        return _bounce(about, classify_bounce("", reason))
    if temporary:
        return _ignored(about, "A delay notice: delivery is still being tried.")
    return _unclear(about, "neither a report nor an automatic answer")


def _unclear(about: Target | None, why: str) -> Understood:
    return Understood(Kind.UNCLEAR, about.id if about else 0, why=why)


def _whom(mail: Message) -> Target | None:
    return _token_in(_fields(mail, _ENVELOPE_FIELDS))


def _ignored(about: Target | None, why: str) -> Understood:
    return Understood(Kind.IGNORED, about.id if about else 0, why=why)


def _tamed(data: bytes) -> bytes:
    """The mail with lines, header fields and their number cut to what honest mails need (RFC 5322: 998 characters).

    The time that the parsers take for a field grows with the square of its length: one mail could hold up all others.
    """
    lines = data.split(b"\n", _MAX_LINES)[:_MAX_LINES]
    if max(map(len, lines)) > _MAX_LINE:
        lines = [line[:_MAX_LINE] for line in lines]
    return _CONTINUED.sub(rb"\1", b"\n".join(lines))


def _bounce(about: Target | None, verdict: BounceDecision) -> Understood:
    if verdict.bounce_class is BounceClass.NONE:
        return _ignored(about, verdict.why)
    if about is None:
        return _unclear(None, "a bounce, but no valid token says whose")
    return Understood(Kind.BOUNCE, about.id, verdict, verdict.why)


def _complaint(mail: Message, complaint: Message, about: Target | None) -> Understood:
    """A report by RFC 5965; `not-spam` (RFC 6430) takes a complaint back and is nothing to us."""
    fields = "\n".join(_texts(complaint))
    kind = re.search(r"^Feedback-Type:\s*(\S+)", fields, re.IGNORECASE | re.MULTILINE)
    if kind and kind.group(1).casefold() == "not-spam":
        return _ignored(about, "Feedback-Type not-spam (RFC 6430).")
    # A feedback loop writes to one address for all: then our own tokens in the attached mail say whom it is about.
    ours = _attached_head(mail)
    about = about or _token_in([fields, ours])
    if about is None:
        tokens = _UNSUBSCRIBE.findall(ours)
        about = next((target for token in tokens if (target := read(Purpose.UNSUBSCRIBE, token))), None)
    if about is None:
        return _unclear(None, "a complaint, but no valid token says whose")
    return Understood(Kind.COMPLAINT, about.id, why="A feedback report (RFC 5965).")


def _token_in(texts: Iterable[str]) -> Target | None:
    """The first valid bounce token in an address `b+<token>@…`."""
    for text in texts:
        for token in _VERP.findall(text):
            if target := read(Purpose.BOUNCE, token):
                return target
    return None


def _fields(mail: Message, names: Iterable[str]) -> list[str]:
    return [str(value) for name in names for value in mail.get_all(name, [])]


def _children(mail: Message) -> Iterator[Message]:
    """All parts, but none of a mail that is attached: a report about a report is not about us."""
    yield mail
    payload = mail.get_payload()
    if mail.is_multipart() and mail.get_content_maintype() == "multipart" and isinstance(payload, list):
        for part in payload:
            if isinstance(part, Message):
                yield from _children(part)


def _by_type(mail: Message) -> dict[str, Message]:
    """The first part of each content type."""
    return {part.get_content_type(): part for part in reversed(list(_children(mail)))}


def _blocks(report: Message) -> list[Message]:
    """The field groups of a delivery report (RFC 3464), also where its transfer encoding hides them from the parser."""
    payload = report.get_payload()
    blocks = [block for block in payload if isinstance(block, Message)] if isinstance(payload, list) else []
    if not any(block.get("Action") or block.get("Status") for block in blocks):
        blocks = [email.message_from_string(text) for text in _BLANK_LINES.split("\n".join(_texts(report)))]
    return blocks


def _texts(part: Message) -> Iterator[str]:
    """A part as text, whatever its parser made of it; encoded contents are decoded (RFC 2045)."""
    payload = part.get_payload()
    if isinstance(payload, list):
        raw = "\n\n".join(block.as_string() for block in payload if isinstance(block, Message))
    else:
        raw = str(payload or "")
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().casefold()
    if encoding == "base64":
        try:
            raw = base64.b64decode("".join(raw.split())).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return
    elif encoding == "quoted-printable":
        raw = quopri.decodestring(raw.encode("utf-8", "replace")).decode("utf-8", "replace")
    yield raw.lstrip("\n")


def _verdict(blocks: list[Message]) -> BounceDecision:
    """The worst of the report's recipients: a forwarding address stands for one person all the same."""
    verdicts = [
        classify_bounce(_field(block, "Status"), _diagnostic(block), _field(block, "Action") or "failed")
        for block in blocks
        if block.get("Action") or block.get("Status")
    ]
    if not verdicts:
        return BounceDecision(BounceClass.UNKNOWN, "5.0.0", "A report that tells of no recipient.")
    return min(verdicts, key=lambda verdict: _WORST_FIRST.index(verdict.bounce_class))


def _field(block: Message, name: str) -> str:
    return str(block.get(name, "")).partition("(")[0].strip()


def _diagnostic(block: Message) -> str:
    kind, mark, text = str(block.get("Diagnostic-Code", "")).partition(";")
    return text if mark and re.fullmatch(r"\s*[A-Za-z0-9-]+\s*", kind) else f"{kind}{mark}{text}"


def _is_automatic(mail: Message) -> bool:
    """Whether a machine answered for a person (RFC 3834 and what is in use besides)."""
    if mail.get("X-Failed-Recipients"):
        return False  # Exim marks its bounces as automatic answers
    submitted = str(mail.get("Auto-Submitted", "no")).strip().casefold()
    if submitted.startswith(("auto-replied", "auto-notified")):
        return True
    if any(mail.get(name) for name in ("X-Autoreply", "X-Autorespond", "X-Autogenerated")):
        return True
    if str(mail.get("Precedence", "")).strip().casefold() in ("auto_reply", "auto-reply"):
        return True
    subject = " ".join(_decoded(str(mail.get("Subject", ""))).split()).casefold()
    return subject.startswith(bounce_rules().auto_reply_subjects)


def _decoded(subject: str) -> str:
    try:
        parts = decode_header(subject)
        return "".join(
            part if isinstance(part, str) else part.decode(charset or "ascii", "replace") for part, charset in parts
        )
    except (LookupError, ValueError, binascii.Error):
        return subject


def _attached_head(mail: Message) -> str:
    """The head of our own mail as it is attached to a complaint."""
    for part in _children(mail):
        payload = part.get_payload()
        if part.get_content_type() == "message/rfc822" and isinstance(payload, list) and payload:
            return "\n".join(f"{name}: {value}" for name, value in payload[0].items())  # type: ignore[union-attr]  # see is_multipart
        if part.get_content_type() == "text/rfc822-headers":
            return "\n".join(_texts(part))
    return ""


def _cut_attached_mails(mail: Message) -> None:
    for part in _children(mail):
        if part.get_content_maintype() == "message":
            part.set_payload("")


def _reason_in_text(mail: Message) -> str:
    """What the mail system says in words, without our own mail that it may quote below."""
    for part in _children(mail):
        if part.get_content_maintype() != "text":
            continue
        payload = part.get_payload(decode=True)
        text = payload.decode("utf-8", "replace")[:_MAX_TEXT] if isinstance(payload, bytes) else ""
        cut = _QUOTED_MAIL.search(text)
        return text[: cut.start()] if cut else text
    return ""
