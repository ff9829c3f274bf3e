"""The brake: too many refusals end a dispatch, or let a recipient's domain rest, whatever their reasons are.

Refusals for the sender, the content or the server's own trouble may be worded as if the recipient's address were wrong.
What tells is their number: of a list that is kept, few in a hundred are refused (docs/dispatch.md, "The brake").
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from reku.catalogue.institute import RefusalLimits

WINDOW = 200
"""So many answers are looked back at."""
LEAST = 50
"""So many answers there must be before a share says anything: below, 10 of them are too easily a chance."""
_SHOWN = 3


@dataclass(frozen=True)
class BrakeDecision:
    """What a refusal brings about, each with what was refused in the server's words; "" where it does not.

    `stop`: nothing more may be sent; `rest`: nothing more to the recipient's domain for a while.
    """

    stop: str = ""
    rest: str = ""


@dataclass
class _Answers:
    """The last answers: None for a message that was taken, else the server's words. `run`: refusals since the last."""

    last: deque[str | None] = field(default_factory=lambda: deque(maxlen=WINDOW))
    refused: int = 0
    run: int = 0

    def add(self, words: str | None) -> None:
        if len(self.last) == WINDOW:
            self.refused -= self.last[0] is not None
        self.last.append(words)
        self.refused += words is not None
        self.run = 0 if words is None else self.run + 1

    def too_many(self, in_a_row: int, share: float) -> str:
        """What is too much of them; "" if nothing is."""
        if self.run >= in_a_row:
            return f"refused {self.run} messages in a row: {_shown(islice(reversed(self.last), self.run))}"
        if len(self.last) >= LEAST and self.refused > share * len(self.last):
            return f"refused {self.refused} of the last {len(self.last)} messages: {_shown(self.last)}"
        return ""


class Brake:
    """Counts the answers of one dispatch, over all its queues."""

    def __init__(self, limits: RefusalLimits) -> None:
        self._limits = limits
        self._all = _Answers()
        self._domains: dict[str, _Answers] = {}

    @property
    def counts_domains(self) -> bool:
        """Whether a domain has refused anything: before that nothing is counted by domain."""
        return bool(self._domains)

    def taken(self, domain: str = "") -> None:
        """A message was taken; `domain` is asked for once `counts_domains`."""
        self._all.add(None)
        if domain in self._domains:
            self._domains[domain].add(None)

    def refused(self, domain: str, words: str) -> BrakeDecision:
        """A message to this domain ("": it has none) was refused for good, in these words."""
        limits = self._limits
        self._all.add(words)
        stop = self._all.too_many(limits.in_a_row, limits.share)
        if not domain:
            return BrakeDecision(stop)
        of_domain = self._domains.setdefault(domain, _Answers())
        of_domain.add(words)
        return BrakeDecision(stop, of_domain.too_many(limits.in_a_row, limits.domain_share))


def _shown(answers: Iterable[str | None]) -> str:
    """The most frequent words, each with its number."""
    counted = Counter(words for words in answers if words is not None)
    shown = ", ".join(f"{number} × »{words}«" for words, number in counted.most_common(_SHOWN))
    return f"{shown} and others" if len(counted) > _SHOWN else shown
