"""Understanding a mail in the return mailbox: delivery report, complaint, automatic answer, or nothing we know.

Pure functions over the bytes of one mail. Whom it is about is said by a signed token alone: the one in the address to
which the mail came (VERP), for complaints also those in our own mail that is attached. An address in the text is never
believed, so that a forged report can do no harm to anybody else. In doubt a mail is UNCLEAR: a person looks at it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from email.message import Message

from reku.catalogue.bounce_rules import BounceClass, BounceDecision, bounce_rules, classify_bounce
from reku.catalogue.reply_text import fold
from reku.foundation.errors import RekuError
from reku.foundation.tokens import Purpose, Target, read
from reku.responses import bounce_texts, complaints, delivery_reports
from reku.responses.bounce_texts import TextForPeople
from reku.responses.complaints import Complaint
from reku.responses.mail_parts import ParsedMail, TooMuch, fields, head_of
from reku.responses.vouching import Txt
from reku.store.kinds import ReportKind

log = logging.getLogger(__name__)


NO_BOUNCE = BounceDecision(BounceClass.NONE, "")


@dataclass(frozen=True)
class Understood:
    """One mail of the return mailbox: what it is and which message of the ledger it is about.

    `message` is 0 where no valid token says it. `is_proven`: for a complaint, whether it may bar without a person's
    decision. `why`: what decided, for people who look the mail up; one of few.
    """

    kind: ReportKind
    message: int = 0
    bounce: BounceDecision = NO_BOUNCE
    why: str = field(default="", compare=False)
    is_proven: bool = False


_VERP = re.compile(r"(?<![A-Za-z0-9._+-])b\+([A-Za-z0-9._-]+)@", re.IGNORECASE)
_ENVELOPE_FIELDS = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To", "Cc", "Resent-To")
_ADDRESS = re.compile(r"[^\s<>,;:\"]{1,64}@[\w.\-]{1,255}")


def understand(data: bytes, txt: Txt | None = None) -> Understood:
    """What the mail means. Whatever bytes come: one that no parser can read is UNCLEAR.

    `txt`: looks up TXT records for DKIM, in the DNS if it is not given. Raises SetupError without token keys,
    ConfigError for broken rules: then no mail can be judged.
    """
    try:
        return _understand(ParsedMail(data), data, txt)
    except RekuError:
        raise
    except TooMuch as error:
        return _unclear(_whom(head_of(data)), f"made of more than any mail system makes: {error}")
    except Exception as error:  # noqa: BLE001 # the standard library raises all sorts of errors on broken mails
        log.warning("a mail of the return mailbox cannot be parsed (%s)", type(error).__name__)
        return _unclear(_whom(head_of(data)), "it cannot be parsed")


def _understand(mail: ParsedMail, data: bytes, txt: Txt | None) -> Understood:
    about = _whom(mail.head)
    if mail.first("message/disposition-notification"):
        return _ignored(about, "A read receipt (RFC 8098) says nothing about delivery.")
    if complaint := complaints.complaint_in(mail):
        return _complaint(mail, data, complaint, about, txt)
    groups = delivery_reports.groups_of(mail)
    text = TextForPeople(mail)
    if groups is not None:
        return _bounce(about, delivery_reports.weigh(groups, text, lambda: _addressed(mail)))
    return _without_report(mail, text, about)


def _without_report(mail: ParsedMail, text: TextForPeople, about: Target | None) -> Understood:
    """A bounce in a form of its own, an answer of a machine, or of a person."""
    told = bool(text.answers)
    failed = bounce_texts.announces_failure(mail, text.whole)
    by_a_system = bounce_texts.is_by_a_mail_system(mail)
    null_sender = bounce_texts.has_null_sender(mail)
    if bounce_texts.announces_delay(mail, text.whole):
        return _ignored(about, "A delay notice: delivery is still being tried.")
    if (by_a_system and (told or failed)) or (told and (failed or null_sender)):
        return _bounce(about, _bounce_in_words(mail, text))
    if _is_automatic(mail):
        return _ignored(about, "A machine answers for a person (RFC 3834).")
    if null_sender and failed:
        return _bounce(about, _bounce_in_words(mail, text))
    if by_a_system:
        return _unclear(about, "by a mail system, but it names no refusal")
    return _unclear(about, "neither a report nor an automatic answer")


def _bounce_in_words(mail: ParsedMail, text: TextForPeople) -> BounceDecision:
    """By the text; by the words of the subject where the text gives no reason."""
    bounce = classify_bounce("", text.answers or text.whole)
    if bounce.bounce_class is not BounceClass.UNKNOWN:
        return bounce
    by_subject = classify_bounce("", mail.subject)
    return bounce if by_subject.bounce_class is BounceClass.UNKNOWN else replace(by_subject, status=bounce.status)


def _unclear(about: Target | None, why: str) -> Understood:
    return Understood(ReportKind.UNCLEAR, about.id if about else 0, why=why)


def _ignored(about: Target | None, why: str) -> Understood:
    return Understood(ReportKind.IGNORED, about.id if about else 0, why=why)


def _whom(mail: Message) -> Target | None:
    return _token_in(fields(mail, *_ENVELOPE_FIELDS))


def _addressed(mail: ParsedMail) -> list[str]:
    """Whom our own mail was for that came back, and whom Exim says it failed for."""
    ours = mail.attached
    told = fields(mail.head, "X-Failed-Recipients") + (fields(ours, "To") if ours is not None else [])
    return [address for each in told for address in _ADDRESS.findall(each)]


def _bounce(about: Target | None, bounce: BounceDecision) -> Understood:
    if bounce.bounce_class is BounceClass.NONE:
        return _ignored(about, bounce.why)
    if about is None:
        return _unclear(None, "a bounce, but no valid token says whose")
    return Understood(ReportKind.BOUNCE, about.id, bounce, bounce.why)


def _complaint(mail: ParsedMail, data: bytes, complaint: Complaint, to: Target | None, txt: Txt | None) -> Understood:
    """`not-spam` (RFC 6430) takes a complaint back and is nothing to us; what is no complaint is for a person."""
    if complaint.type == "not-spam":
        return _ignored(to, "Feedback-Type not-spam (RFC 6430).")
    if not complaint.is_one:
        return _unclear(to, "a feedback report that is no complaint, such as auth-failure (RFC 6591) or virus")
    if message := complaints.proven(mail, data, complaint, txt):
        return Understood(ReportKind.COMPLAINT, message, is_proven=True, why="A complaint that is proven.")
    message = complaints.about(mail, complaint) or (to.id if to else 0)
    if not message:
        return _unclear(None, "a complaint, but no valid token says whose")
    return Understood(ReportKind.COMPLAINT, message, why="a complaint that nobody vouches for")


def _token_in(texts: Iterable[str]) -> Target | None:
    """The first valid bounce token in an address `b+<token>@…`."""
    for text in texts:
        for token in _VERP.findall(text):
            if target := read(Purpose.BOUNCE, token):
                return target
    return None


def _is_automatic(mail: ParsedMail) -> bool:
    """Whether a machine answered for a person (RFC 3834 and what is in use besides)."""
    submitted = str(mail.head.get("Auto-Submitted", "no")).strip().casefold()
    if submitted.startswith(("auto-replied", "auto-notified")):
        return True
    if any(mail.head.get(name) for name in ("X-Autoreply", "X-Autorespond", "X-Autogenerated")):
        return True
    if str(mail.head.get("Precedence", "")).strip().casefold() in ("auto_reply", "auto-reply"):
        return True
    return fold(mail.subject).startswith(tuple(map(fold, bounce_rules().auto_reply_subjects)))
