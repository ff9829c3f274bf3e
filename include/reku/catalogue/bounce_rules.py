"""What a returned mail or a refusal by the server means, by the rules of `bounces.yaml`.

The classes are told in docs/domain.md, "Classes of a bounce". Used for reports in the return mailbox and for answers to
RCPT and DATA alike, so that both are judged the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from reku.catalogue.fields import Model, Text
from reku.catalogue.phrases import Phrases
from reku.catalogue.reply_text import fold, is_generic, read_reply
from reku.foundation.settings import configured
from reku.foundation.yaml_source import load

FILE = "bounces.yaml"


class BounceClass(StrEnum):
    """The five verdicts on a mail that came back."""

    HARD = "HARD"  # the address is no good; counts for the retained series
    SOFT = "SOFT"  # temporary
    BLOCK = "BLOCK"  # refused for its content or our reputation; reported as soft
    UNKNOWN = "UNKNOWN"  # came back, nobody can say why
    NONE = "NONE"  # no bounce at all

    @property
    def event(self) -> str:
        """The kind of event that tells of it (`store.kinds.EventKind`), or "" where there is nothing to tell."""
        return _EVENTS[self]


_EVENTS = {
    BounceClass.HARD: "BOUNCED_HARD",
    BounceClass.SOFT: "BOUNCED_SOFT",
    BounceClass.BLOCK: "BOUNCED_SOFT",
    BounceClass.UNKNOWN: "BOUNCED_UNKNOWN",
    BounceClass.NONE: "",
}


@dataclass(frozen=True)
class BounceDecision:
    """A class and the enhanced status it is reported with (Grund_Code): never empty, x.0.0 where nobody gave one.

    `why`: the reason of the rule that decided.
    """

    bounce_class: BounceClass
    status: str
    why: str = field(default="", compare=False)


class BounceRule(Model):
    """One rule; it holds when everything it names is true, `text` or `piece` being enough where it names both."""

    bounce_class: BounceClass = Field(alias="class", description="the verdict")
    status: tuple[Annotated[str, Field(pattern=r"^[245]\.(\d{1,3}|x)\.(\d{1,3}|x)$")], ...] = Field(
        (), description="enhanced status codes, x for any number; one of them was told"
    )
    reply: tuple[Annotated[str, Field(pattern=r"^[245](\d\d|xx)$")], ...] = Field(
        (), description="SMTP reply codes; one of them was told"
    )
    text: tuple[Annotated[str, Field(min_length=2)], ...] = Field((), description="phrases, one of which was said")
    piece: tuple[Annotated[str, Field(min_length=3)], ...] = Field(
        (), description="pieces of the text as it came, hosts and numbers included"
    )
    silent: bool = Field(False, description="true: nothing was said in words")
    why: Text = Field(description="the reason for this rule; kept with the event")
    source: str = Field("", description="where it is told: an RFC, or a provider's public page")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not (self.status or self.reply or self.text or self.piece or self.silent):
            raise ValueError("a rule names at least one of status, reply, text, piece and silent")
        if self.status and self.reply:
            raise ValueError("a rule names status or reply, not both: write two rules")
        return self


class BounceRules(Model):
    """The whole of `bounces.yaml`."""

    no_bounce_actions: tuple[str, ...] = Field(description="Action values of RFC 3464 that are no bounce")
    noise: tuple[str, ...] = Field((), description="phrases that say nothing: taken out before anything is looked at")
    stops: tuple[str, ...] = Field((), description="words that `*` does not cross")
    words: dict[str, tuple[str, ...]] = Field({}, description="groups of words, named in phrases as {group}")
    rules: tuple[BounceRule, ...] = Field(min_length=1, description="see the head of the file")
    auto_reply_subjects: tuple[str, ...] = Field((), description="beginnings of subjects of automatic answers")
    mail_systems: tuple[str, ...] = Field((), description="pieces of senders that only mail systems have")
    failed: tuple[str, ...] = Field((), description="phrases of bounces that are written for people only")
    delayed: tuple[str, ...] = Field((), description="phrases of notices that delivery is still being tried")
    complaint_types: tuple[str, ...] = Field((), description="Feedback-Type values that are complaints (RFC 5965)")
    complaint_subjects: tuple[str, ...] = Field((), description="beginnings of subjects of complaints without a report")
    complaint_fields: tuple[str, ...] = Field((), description="header fields that only such complaints have")
    _phrases: Phrases = PrivateAttr()
    _notices: Phrases = PrivateAttr()
    _tried: tuple[_Tried, ...] = PrivateAttr()

    @model_validator(mode="after")
    def _built(self) -> Self:
        self._phrases = Phrases([rule.text for rule in self.rules], self.words, self.stops, self.noise)
        self._notices = Phrases([self.failed, self.delayed], self.words)
        self._tried = tuple(_Tried.of(number, rule) for number, rule in enumerate(self.rules))
        return self

    def decide(self, codes: tuple[str, ...], replies: tuple[str, ...], words: str, raw: str) -> tuple[BounceRule, str]:
        """The first rule that holds and the code that it holds for, if one; the last of all is UNKNOWN."""
        words = self._phrases.without_noise(words)
        said = self._phrases.found_in(words)
        for one in self._tried:
            if one.number not in said and one.needs_words and not any(piece in raw for piece in one.pieces):
                continue
            if one.rule.silent and _LETTERS.search(words):
                continue
            code = one.code(codes)
            if (one.status and not code) or (one.reply and not any(map(one.reply.fullmatch, replies))):
                continue
            return one.rule, code
        return _NO_RULE, ""

    def announces(self, notice: Literal["failed", "delayed"], text: str) -> bool:
        """Whether a text for people says so."""
        return ("failed", "delayed").index(notice) in self._notices.found_in(read_reply(text).words)


@dataclass(frozen=True)
class _Tried:
    """A rule made ready: its codes as patterns."""

    number: int
    rule: BounceRule
    needs_words: bool
    pieces: tuple[str, ...]
    status: re.Pattern[str] | None
    reply: re.Pattern[str] | None

    @classmethod
    def of(cls, number: int, rule: BounceRule) -> _Tried:
        pieces = tuple(piece.casefold() for piece in rule.piece)
        return cls(number, rule, bool(rule.text or pieces), pieces, _codes(rule.status), _codes(rule.reply))

    def code(self, codes: tuple[str, ...]) -> str:
        return next((code for code in codes if self.status.fullmatch(code)), "") if self.status else ""


def _codes(wanted: tuple[str, ...]) -> re.Pattern[str] | None:
    digits = {".": r"\.", "x": r"\d+"}
    either = ("".join(digits.get(char, char) for char in code) for code in wanted)
    return re.compile("|".join(each.replace(r"\d+\d+", r"\d\d") for each in either)) if wanted else None


_NO_RULE = BounceRule.model_construct(bounce_class=BounceClass.UNKNOWN, why="No rule holds.")
_GENERIC = "5.0.0"
_LETTERS = re.compile(r"(?!someaddress)\b[^\W\d_]+")
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)")


def classify_bounce(status: str, diagnostic: str, action: str = "failed") -> BounceDecision:
    """The verdict on one recipient's report (RFC 3464 fields Status, Diagnostic-Code and Action; each may be empty).

    Codes within the text count as much as the report's own, and a status that says nothing (5.0.0, or none) counts for
    nothing: the most careful reading wins. What was given up says so by its Action, whatever its status.
    """
    said = read_reply(diagnostic)
    told = _STATUS.search(status)
    field_code = told.group(1) if told else ""
    rules = bounce_rules()
    if fold(action.strip()) in rules.no_bounce_actions:
        return BounceDecision(BounceClass.NONE, field_code or _GENERIC, "Action says that it was not given up.")
    codes = tuple(code for code in dict.fromkeys((field_code, *said.codes)) if code and code[0] != "2")
    if field_code.startswith("2") and not codes and not any(reply[0] in "45" for reply in said.replies):
        return BounceDecision(BounceClass.NONE, field_code, "Success.")
    telling = tuple(code for code in codes if not is_generic(code) or code[0] == "4")
    rule, code = rules.decide(telling, said.replies, said.words, said.raw)
    shown = code or next((code for code in telling if code in said.codes), "") or next(iter((*telling, *codes)), "")
    reply = next((reply for reply in said.replies if reply[0] != "2"), "")
    return BounceDecision(rule.bounce_class, shown or (f"{reply[0]}.0.0" if reply else _GENERIC), rule.why)


@cache
def bounce_rules() -> BounceRules:
    """The rules of `bounces.yaml` in the configuration folder, or the ones shipped where it has none.

    Raises ConfigError for a file that is no YAML or breaks the model.
    """
    return load_bounce_rules(configured(FILE))


def load_bounce_rules(file: Path) -> BounceRules:
    """Read one file of rules. Raises ConfigError."""
    return load(file, BounceRules)
