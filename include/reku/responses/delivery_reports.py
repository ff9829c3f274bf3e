"""Delivery reports (RFC 3464, RFC 6533), read as they come: their grammar is broken in every way there is.

A blank before the colon, continuation lines that are not indented, blank lines within a group or none between two,
groups without Action or Status, several status parts, a status part under another content type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from reku.catalogue.bounce_rules import BounceClass, BounceDecision, classify_bounce
from reku.responses.bounce_texts import TextForPeople
from reku.responses.mail_parts import ParsedMail

_STATUS_PARTS = ("message/delivery-status", "message/global-delivery-status")
_DISGUISES = ("text/plain", "application/octet-stream", "multipart/")
_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,40})[ \t]*:(?!//)[ \t]*(.*)")
_FIRST_FIELD = re.compile(
    r"^[ \t]*(?:reporting-mta|final-recipient|original-recipient|action|status)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_RECIPIENT_LINE = re.compile(r"^[ \t]*(?:final|original)-recipient[ \t]*:", re.IGNORECASE | re.MULTILINE)
_NEW_GROUP = ("final-recipient", "original-recipient", "action", "status")
_IN_WORDS = ("diagnostic-code", "x-supplementary-info", "x400-supplementary-info")
_OF_RECIPIENT = (*_NEW_GROUP, *_IN_WORDS)
_OTHERS = re.compile(
    r"original-envelope-id|reporting-mta|dsn-gateway|received-from-mta|arrival-date|remote-mta|last-attempt-date"
    r"|final-log-id|will-retry-until|x[\w-]*"
)
_TYPE = re.compile(r"\s*[A-Za-z][A-Za-z0-9-]*\s*;")
_MAX_GROUPS = 50
_CAREFUL_FIRST = (BounceClass.BLOCK, BounceClass.SOFT, BounceClass.UNKNOWN, BounceClass.HARD)


@dataclass
class RecipientGroup:
    """What a report says of one recipient. `recipients`: the addresses it names; the rest as in RFC 3464."""

    recipients: list[str] = field(default_factory=list)
    action: str = ""
    status: str = ""
    diagnostics: list[str] = field(default_factory=list)

    @property
    def diagnostic(self) -> str:
        """All that was said in words."""
        return "\n".join(self.diagnostics)


def groups_of(mail: ParsedMail) -> list[RecipientGroup] | None:
    """What the mail's status parts say, a group for each recipient; None for a mail without any status part."""
    texts = [part.text for part in mail.parts if part.kind in _STATUS_PARTS]
    if not any(map(_RECIPIENT_LINE.search, texts)):
        others = (part.text for part in mail.parts if part.kind.startswith(_DISGUISES) and part.is_leaf)
        texts += [text for text in others if _RECIPIENT_LINE.search(text)]
    return [group for text in texts for group in _groups(text)] if texts else None


def weigh(groups: Sequence[RecipientGroup], text: TextForPeople, addressed: Callable[[], list[str]]) -> BounceDecision:
    """The verdict on the whole report, and on what it says to people where it says nothing in its own fields.

    `addressed`: tells whom our own mail was for. Where a group names one of them the others are left out: they are
    addresses it was forwarded to. Of several that stay the most careful counts: what reached one of them reached
    somebody.
    """
    wanted = {each.casefold() for each in addressed()} if len(groups) > 1 else set()
    ours = [group for group in groups if any(each.casefold() in wanted for each in group.recipients)]
    decisions = [_weighed(group, text) for group in ours or groups or [RecipientGroup()]]
    bounced = [each for each in decisions if each.bounce_class is not BounceClass.NONE]
    if not bounced:
        return decisions[0]
    most_careful = min(bounced, key=lambda each: _CAREFUL_FIRST.index(each.bounce_class))
    if most_careful.bounce_class is BounceClass.HARD and len(bounced) < len(decisions):
        return BounceDecision(BounceClass.UNKNOWN, most_careful.status, "One of several recipients was reached.")
    return most_careful


def _weighed(group: RecipientGroup, text: TextForPeople) -> BounceDecision:
    decision = classify_bounce(group.status, group.diagnostic or text.answers, group.action)
    if decision.bounce_class is not BounceClass.UNKNOWN:
        return decision
    by_the_text = classify_bounce(group.status, f"{group.diagnostic}\n{text.answers or text.whole}", group.action)
    return decision if by_the_text.bounce_class is BounceClass.UNKNOWN else by_the_text


def _groups(text: str) -> list[RecipientGroup]:
    """The groups of one part. Blank lines say nothing: a group ends where one of its fields comes again."""
    groups: list[RecipientGroup] = []
    seen: set[str] = set()
    for name, value in _fields(text):
        if name not in _OF_RECIPIENT:
            continue
        if not groups or (name in _NEW_GROUP and name in seen):
            if len(groups) == _MAX_GROUPS:
                break
            groups.append(RecipientGroup())
            seen = set()
        seen.add(name)
        group = groups[-1]
        if name in _IN_WORDS:
            group.diagnostics.append(_TYPE.sub("", value, count=1))
        elif name == "action":
            group.action = value.partition("(")[0].strip(" \t.;")
        elif name == "status":
            group.status = value
        else:
            group.recipients.append(value.rpartition(";")[2].strip(" <>\t"))
    return groups


def _fields(text: str) -> list[tuple[str, str]]:
    """Name in lower case and value, up to a boundary; a line that is no field goes on with the one above it."""
    fields: list[list[str]] = []
    begin = _FIRST_FIELD.search(text)
    for line in text[begin.start() :].splitlines() if begin else ():
        if line.startswith("--"):
            break
        match = None if line[:1] in (" ", "\t") else _FIELD.match(line)
        name = match[1].casefold() if match else ""
        if match and (name in _OF_RECIPIENT or _OTHERS.fullmatch(name)):
            fields.append([name, match[2]])
        elif fields and line.strip():
            fields[-1][1] += f"\n{line}"
    return [(name, value.strip()) for name, value in fields]
