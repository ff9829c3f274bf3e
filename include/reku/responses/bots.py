"""Opens and clicks that bots made: scanners, prefetchers, previews. The rules are data (`bots.yaml`).

In doubt a hit is a person's: a reaction taken for a machine's is lost to the bank, one too many only flatters a figure.
Unsubscribes are never judged: none may be lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from reku.catalogue.bot_rules import BotRule, BotRules, Crowd, Side, bot_rules

_AT_ONCE = timedelta(0)


@dataclass(frozen=True)
class Hit:
    """One request of a message's pixel or link.

    `kind`: OPENED or CLICKED. `at`: with its zone, and with fractions of a second: cut to whole seconds, two clicks of
    a person come closer than they were. `link`: its number, 0 for opens. `agent`: User-Agent, at most 200 characters,
    "" if none was sent.
    """

    kind: str
    at: datetime
    link: int = 0
    agent: str = ""


def mark_bots(hits: Sequence[Hit], sent_at: datetime | None, rules: BotRules | None = None) -> list[str]:
    """For each hit the name of the first rule that marks it as a bot's, or "" for a person's.

    `hits` are those of one message in order of time; `sent_at` is when it was begun to be handed over (None: unknown,
    then no rule that asks for it holds). `rules` are those of the configuration unless given. A verdict depends only on
    hits at most `rules.reach` away. Time grows with the number of hits, not with its square.
    """
    if rules is None:
        rules = bot_rules()
    first_rules = [rules.first_by_agent(hit.kind, hit.agent) for hit in hits]
    gap = min((later.at - hit.at for hit, later in pairwise(hits)), default=None)
    for number, rule in rules.timed:
        crowd = rule.crowd
        if crowd and (gap is None or gap > crowd.within):
            continue  # most messages end here: their hits lie far apart
        places = [place for place, hit in enumerate(hits) if _may_hold(rule, hit, sent_at)]
        for place in _crowded(hits, places, crowd) if crowd else places:
            first_rules[place] = min(first_rules[place], number)
    return ["" if place == len(rules.rules) else rules.rules[place].name for place in first_rules]


def _may_hold(rule: BotRule, hit: Hit, sent_at: datetime | None) -> bool:
    """Whether the rule holds for the hit but for its crowd."""
    if rule.sooner_than is None:
        return rule.knows(hit.kind, hit.agent)
    # A hit before the mail is a sign of two clocks that differ, not of a machine.
    return sent_at is not None and _AT_ONCE <= hit.at - sent_at < rule.sooner_than and rule.knows(hit.kind, hit.agent)


def _crowded(hits: Sequence[Hit], places: Sequence[int], crowd: Crowd) -> Iterator[int]:
    """The places, out of `places`, of hits that are part of a crowd."""
    for group in _groups(hits, places, crowd.by):
        seen = Counter[int]()
        first = told = 0
        for last, place in enumerate(group):
            seen[hits[place].link] += 1
            while hits[place].at - hits[group[first]].at > crowd.within:
                left = hits[group[first]].link
                seen[left] -= 1
                if not seen[left]:
                    del seen[left]
                first += 1
            if len(seen) >= crowd.different:
                yield from group[max(first, told) : last + 1]
                told = last + 1


def _groups(hits: Sequence[Hit], places: Sequence[int], by: Side) -> Iterable[list[int]]:
    if by is Side.MESSAGE:
        # Without the pixel: a scanner on a person's own machine starts when the person opens the mail.
        return [[place for place in places if hits[place].link]]
    by_agent: dict[str, list[int]] = {}
    for place in places:
        by_agent.setdefault(hits[place].agent, []).append(place)
    return by_agent.values()
