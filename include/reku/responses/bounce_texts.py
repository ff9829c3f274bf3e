"""Bounces that are written for people only: what the mail system says, without the mail of ours that they quote."""

from __future__ import annotations

import re
from functools import cached_property

from reku.catalogue.bounce_rules import bounce_rules
from reku.catalogue.reply_text import fold, read_reply
from reku.responses.mail_parts import ParsedMail, fields

_QUOTED_MAIL = re.compile(
    r"^[ \t>]*[-=_*#+|]{2}.*\b(?:copy of|original (?:message|mail|text|headers?)|original-?nachricht"
    r"|returned (?:message|mail|headers)|message header|headers? (?:of|follow)|kopf(?:zeilen)? der|ursprüngliche"
    r"|unsent message|undelivered message|message follows|return message|body of|text of)"
    r"|^[ \t>]*(?:(?:below|here) is a copy of|original message follows|originalnachricht)"
    r"|^[ \t>]*(?:return-path|received|dkim-signature|mime-version|message-id|list-unsubscribe|x-mailer|feedback-id)"
    r"[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
"""Two marks and not more: `-{2,}.*` over one long line of dashes takes the square of its length."""
_PARAGRAPHS = re.compile(r"\n[ \t\r>]*\n")
_DIALOGUE = re.compile(r"^[ \t]*(?:>>>.*|<<<[ \t]*[123]\d\d.*)$", re.MULTILINE)
_LOCAL_PART = re.compile(r"<?([^\s<>@\"]+)@")


class TextForPeople:
    """What a mail system says in words to people; taken apart only where somebody asks."""

    def __init__(self, mail: ParsedMail) -> None:
        self._mail = mail

    @cached_property
    def whole(self) -> str:
        """All of it, without the mail of ours that it quotes."""
        text = self._mail.text
        cut = _QUOTED_MAIL.search(text)
        return _DIALOGUE.sub("", text[: cut.start()] if cut else text)

    @cached_property
    def answers(self) -> str:
        """The paragraphs that tell an answer of a server by its code; "" if none does."""
        return "\n".join(filter(_is_answer, _PARAGRAPHS.split(self.whole)))


def _is_answer(text: str) -> bool:
    said = read_reply(text)
    return any(code[0] in "45" for code in (*said.codes, *said.replies))


def is_by_a_mail_system(mail: ParsedMail) -> bool:
    """Whether it comes from a sender that only mail systems have, or as a report."""
    if mail.head.get("X-Failed-Recipients") or mail.head.get_content_type() == "multipart/report":
        return True
    sender = fold(" ".join(fields(mail.head, "From", "Sender", "Return-Path")))
    return any(name in sender for name in bounce_rules().mail_systems)


def has_null_sender(mail: ParsedMail) -> bool:
    """Whether it came with a null return path: bounces do (RFC 5321 section 4.5.5), and answers of machines."""
    return any(not path.strip(" <>\t") for path in fields(mail.head, "Return-Path"))


def announces_failure(mail: ParsedMail, text: str) -> bool:
    """Whether subject or text say that a mail could not be delivered."""
    return bounce_rules().announces("failed", f"{mail.subject}\n{text}")


def announces_delay(mail: ParsedMail, text: str) -> bool:
    """Whether subject or text say that delivery is still being tried."""
    return bounce_rules().announces("delayed", f"{mail.subject}\n{text}")
