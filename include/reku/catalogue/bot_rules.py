"""Which opens and clicks come from bots, by the rules of `bots.yaml`. `responses.bots` applies them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from reku.catalogue.fields import Duration, Model, Text, no_repeats
from reku.foundation.settings import configured
from reku.foundation.yaml_source import load

FILE = "bots.yaml"
_KNOWN_AGENTS = 10_000
"""How many agents are remembered: whoever asks names his own, so memory needs a limit."""


class Side(StrEnum):
    """Whose hits of a message are counted together."""

    AGENT = "agent"
    MESSAGE = "message"


class Crowd(Model):
    """So many different things fetched in so short a time: no person does that."""

    different: int = Field(ge=2, description="how many different links; the pixel is one more where `by` is agent")
    within: Duration = Field(description="time from the first of them to the last")
    by: Side = Field(description="agent: fetched by one User-Agent; message: links of one message, by whomever")


class BotRule(Model):
    """One rule; it holds when everything it names is true."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")] = Field(description="is kept with each hit it marks")
    of: tuple[Literal["OPENED", "CLICKED"], ...] = Field(
        ("OPENED", "CLICKED"), min_length=1, description="which hits it looks at: opens, clicks, or both"
    )
    agent_is: tuple[str, ...] = Field((), description='whole User-Agents, any of which; "" for none sent')
    agent_has: tuple[Annotated[str, Field(min_length=3)], ...] = Field(
        (), description="pieces of a User-Agent, any of which, upper and lower case alike"
    )
    sooner_than: Duration | None = Field(None, description="time after the mail was begun to be handed over")
    crowd: Crowd | None = Field(None, description="many different things in a short time")
    why: Text = Field(description="the reason for this rule, and where it is told")

    @field_validator("agent_has")
    @classmethod
    def _lower(cls, pieces: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(piece.casefold() for piece in pieces)

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not (self.agent_is or self.agent_has or self.sooner_than or self.crowd):
            raise ValueError("a rule names at least one of agent_is, agent_has, sooner_than and crowd")
        return self

    def knows(self, kind: str, agent: str) -> bool:
        """Whether the rule holds for such a hit, as far as it looks at its kind and its User-Agent."""
        if kind not in self.of:
            return False
        if not (self.agent_is or self.agent_has):
            return True
        lower = agent.casefold()
        return agent in self.agent_is or any(piece in lower for piece in self.agent_has)


class BotRules(Model):
    """The whole of `bots.yaml`."""

    rules: tuple[BotRule, ...] = Field((), description="see the head of the file; [] marks nobody as a machine")
    _first: Callable[[str, str], int] = PrivateAttr()
    _timed: tuple[tuple[int, BotRule], ...] = PrivateAttr()

    @field_validator("rules")
    @classmethod
    def _told_apart(cls, rules: tuple[BotRule, ...]) -> tuple[BotRule, ...]:
        no_repeats(tuple(rule.name for rule in rules))
        return rules

    def model_post_init(self, _context: object) -> None:
        """Few agents send most hits: what the rules say of one is remembered."""
        timed = {place for place, rule in enumerate(self.rules) if rule.sooner_than or rule.crowd}
        self._timed = tuple((place, self.rules[place]) for place in sorted(timed))

        def first(kind: str, agent: str) -> int:
            known = (place for place, rule in enumerate(self.rules) if place not in timed and rule.knows(kind, agent))
            return next(known, len(self.rules))

        self._first = lru_cache(_KNOWN_AGENTS)(first)

    @property
    def timed(self) -> tuple[tuple[int, BotRule], ...]:
        """The rules that look at time, each with its place in `rules`."""
        return self._timed

    def first_by_agent(self, kind: str, agent: str) -> int:
        """The place in `rules` of the first rule that holds by kind and User-Agent alone; their number if none does."""
        return self._first(kind, agent)

    @property
    def reach(self) -> timedelta:
        """How far apart two hits of a message may lie and still bear on one another's verdict."""
        return max((rule.crowd.within for rule in self.rules if rule.crowd), default=timedelta(0))


@cache
def bot_rules() -> BotRules:
    """The rules of `bots.yaml` in the configuration folder, or the ones shipped where it has none.

    Raises ConfigError for a file that is no YAML or breaks the model.
    """
    return load_bot_rules(configured(FILE))


def load_bot_rules(file: Path) -> BotRules:
    """Read one file of rules. Raises ConfigError."""
    return load(file, BotRules)
