"""Complaints: reports of feedback loops (RFC 5965), and older forms without a report part.

Somebody pressed "spam". It bars a person from all mails of the bank, so it must be proven: the complaint holds our
whole signed mail, or comes from a feedback loop that is configured and authenticated. Otherwise a person decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reku.catalogue.bounce_rules import bounce_rules
from reku.catalogue.reply_text import fold
from reku.foundation.mail_proof import proven_messages
from reku.foundation.tokens import Purpose, read
from reku.responses.mail_parts import ParsedMail
from reku.responses.vouching import Txt, is_vouched_for

_TYPE = re.compile(r"^[ \t]*Feedback-Type[ \t]*:[ \t]*([\w-]+)", re.IGNORECASE | re.MULTILINE)
_VERP = re.compile(r"(?<![A-Za-z0-9._+-])b\+([A-Za-z0-9._-]+)@", re.IGNORECASE)
_UNSUBSCRIBE = re.compile(r"/u/([A-Za-z0-9._-]+)")
_MESSAGE_ID = re.compile(r"^Message-ID:[ \t\n]*<([A-Za-z0-9._-]+)@", re.IGNORECASE | re.MULTILINE)
_TOKENS = ((_VERP, Purpose.BOUNCE), (_UNSUBSCRIBE, Purpose.UNSUBSCRIBE), (_MESSAGE_ID, Purpose.MESSAGE_ID))


@dataclass(frozen=True)
class Complaint:
    """`type`: the Feedback-Type in lower case, "" for a form without a report; `told`: the report's own fields."""

    type: str
    told: str = ""

    @property
    def is_one(self) -> bool:
        """Whether it says that somebody complained: a report may be about other things."""
        return not self.type or self.type in bounce_rules().complaint_types


def complaint_in(mail: ParsedMail) -> Complaint | None:
    """The feedback report of a mail, or the complaint that it is by its form; None if it is neither."""
    if report := mail.first("message/feedback-report"):
        found = _TYPE.search(report.text)
        return Complaint(found[1].lower() if found else "none", report.text)
    rules, ours = bounce_rules(), mail.attached
    if ours is None:
        return None
    by_field = any(ours.get(name) or mail.head.get(name) for name in rules.complaint_fields)
    by_subject = fold(mail.subject).startswith(tuple(map(fold, rules.complaint_subjects)))
    return Complaint("") if by_field or by_subject else None


def proven(mail: ParsedMail, data: bytes, complaint: Complaint, txt: Txt | None) -> int:
    """The message that the complaint is about, if it proves that; 0 if a person has to decide."""
    for message in proven_messages(data):
        return message
    # Whoever vouches for the mail vouches for its contents, not for the address that it was sent to.
    message = about(mail, complaint)
    return message if message and is_vouched_for(mail.head, data, txt) else 0


def about(mail: ParsedMail, complaint: Complaint) -> int:
    """The message that our tokens in the attached mail and the report's fields mean; 0 if none, or if they differ."""
    ours = mail.attached
    head = "" if ours is None else "\n".join(f"{name}: {value}" for name, value in ours.items())
    meant = set(_meant(f"{complaint.told}\n{head}"))
    return meant.pop() if len(meant) == 1 else 0


def _meant(text: str) -> Iterator[int]:
    for pattern, purpose in _TOKENS:
        for token in pattern.findall(text):
            if target := read(purpose, token):
                yield target.id
