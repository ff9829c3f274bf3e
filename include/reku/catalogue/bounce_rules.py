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
from typing import Annotated, Self

from pydantic import Field, model_validator

from reku.catalogue.fields import Model
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
        """Ereignis_Art of the response, or "" where there is nothing to report."""
        return _EVENTS[self]


_EVENTS = {
    BounceClass.HARD: "HBOU",
    BounceClass.SOFT: "SBOU",
    BounceClass.BLOCK: "SBOU",
    BounceClass.UNKNOWN: "UBOU",
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
    """One rule; it holds when everything it names is true."""

    bounce_class: BounceClass = Field(alias="class", description="the verdict")
    status: tuple[Annotated[str, Field(pattern=r"^[245]\.(\d{1,3}|x)\.(\d{1,3}|x)$")], ...] = Field(
        (), description="enhanced status codes, x for any number"
    )
    reply: tuple[Annotated[str, Field(pattern=r"^[245](\d\d|xx)$")], ...] = Field(
        (), description="SMTP reply codes, looked at only without a status"
    )
    text: tuple[Annotated[str, Field(min_length=3)], ...] = Field((), description="words, any of which must occur")
    why: str = Field(description="the reason for this rule")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not (self.status or self.reply or self.text):
            raise ValueError("a rule names at least one of status, reply and text")
        if self.status and self.reply:
            raise ValueError("a rule names status or reply, not both: reply is looked at only without a status")
        return self


class BounceRules(Model):
    """The whole of `bounces.yaml`."""

    no_bounce_actions: tuple[str, ...] = Field(description="Action values of RFC 3464 that are no bounce")
    rules: tuple[BounceRule, ...] = Field(min_length=1, description="see the head of the file")
    auto_reply_subjects: tuple[str, ...] = Field((), description="beginnings of subjects of automatic answers")


_GENERIC = "5.0.0"  # RFC 3463: "other undefined status": what many systems write when they know nothing
_ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)")
_REPLY = re.compile(r"(?<![\d.#])([245]\d\d)(?=[ \-]|$)")


def classify_bounce(status: str, diagnostic: str, action: str = "failed") -> BounceDecision:
    """The verdict on one recipient's report (RFC 3464 fields Status, Diagnostic-Code and Action; each may be empty).

    A status that says nothing (5.0.0, or none) gives way to one in the server's own text.
    """
    text = " ".join(diagnostic.split()).casefold()
    known = _first(_ENHANCED, status)
    if known in ("", _GENERIC):
        known = _first(_ENHANCED, text) or known
    reply = _first(_REPLY, text)
    shown = known or (f"{reply[0]}.0.0" if reply else _GENERIC)
    if action.strip().casefold() in bounce_rules().no_bounce_actions:
        return BounceDecision(BounceClass.NONE, shown, "Action says that it was not given up.")
    said = "" if known == _GENERIC else known
    for pattern, rule in _ordered():
        if _holds(pattern, rule, said, reply, text):
            return BounceDecision(rule.bounce_class, shown, rule.why)
    return BounceDecision(BounceClass.UNKNOWN, shown, "No rule holds.")


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found.group(1) if found else ""


def _holds(pattern: str, rule: BounceRule, status: str, reply: str, text: str) -> bool:
    if pattern and not _matches(pattern.split("."), status.split(".")):
        return False
    if rule.reply and (status or not any(_matches(list(code), list(reply)) for code in rule.reply)):
        return False
    return not rule.text or any(words.casefold() in text for words in rule.text)


def _matches(pattern: list[str], value: list[str]) -> bool:
    return len(pattern) == len(value) and all(want in ("x", has) for want, has in zip(pattern, value, strict=True))


@cache
def _ordered() -> tuple[tuple[str, BounceRule], ...]:
    """(status pattern or "", rule) in the order in which they are tried."""
    pairs = [(pattern, rule) for rule in bounce_rules().rules for pattern in (rule.status or ("",))]

    def rank(pair: tuple[str, BounceRule]) -> int:
        exact = bool(pair[0]) and "x" not in pair[0]
        return (0 if pair[1].text else 1) if exact else 2

    return tuple(sorted(pairs, key=rank))


@cache
def bounce_rules() -> BounceRules:
    """The rules of `bounces.yaml` in the configuration folder, or the ones shipped where it has none.

    Raises ConfigError for a file that is no YAML or breaks the model.
    """
    return load_bounce_rules(configured(FILE))


def load_bounce_rules(file: Path) -> BounceRules:
    """Read one file of rules. Raises ConfigError."""
    return load(file, BounceRules)
