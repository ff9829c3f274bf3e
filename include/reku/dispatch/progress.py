"""What a dispatch has done so far, and how it says so while it runs."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 5.0


@dataclass
class DispatchResult:
    """What one dispatch did: messages sent, prepared, withheld, rejected by the server, put off, fallen in doubt.

    `next_try`: when what was put off, or lies outside of the send window, may be handed over, or a channel is to be
    asked again; None if nothing is left. `why_later`: what a server said that has all of them wait.
    """

    sent: int = 0
    prepared: int = 0
    withheld: int = 0
    rejected: int = 0
    put_off: int = 0
    in_doubt: int = 0
    next_try: datetime | None = field(default=None, compare=False)
    why_later: str = field(default="", compare=False)

    def as_counts(self) -> dict[str, int]:
        """For XCom and logs: numbers only."""
        told = asdict(self)
        return {name: told[name] for name in COUNTS}

    def add(self, other: dict[str, int]) -> None:
        """Add the counts of another dispatcher of the delivery."""
        for name, count in other.items():
            setattr(self, name, getattr(self, name) + count)

    def try_again_at(self, moment: datetime) -> None:
        """Have the dispatch go on at that moment, if it does not do so earlier."""
        self.next_try = moment if self.next_try is None else min(self.next_try, moment)

    @property
    def handed_over(self) -> int:
        """How many messages were taken, put into a file, or refused for good."""
        return self.sent + self.prepared + self.rejected


COUNTS = tuple(one.name for one in fields(DispatchResult) if one.compare)


class Progress:
    """Writes a line into the log every few seconds: counts, rate, remaining time."""

    def __init__(self, delivery: int, total: int) -> None:
        self._delivery, self._total = delivery, total
        self._started = self._shown = time.monotonic()

    def show(self, result: DispatchResult, *, last: bool = False) -> None:
        """Write the line if it is time to, or if it is the last one."""
        moment = time.monotonic()
        if not last and moment - self._shown < PROGRESS_SECONDS:
            return
        self._shown = moment
        log.info("delivery %d: %s", self._delivery, self.line(result, moment - self._started))

    def line(self, result: DispatchResult, seconds: float) -> str:
        """`1200 of 5000 sent, 3 withheld, …; 400 a second, about 10 s to go`."""
        ended = result.handed_over + result.withheld
        rate = ended / max(seconds, 0.001)
        left = max(0, self._total - ended)
        several = {name.replace("_", " "): count for name, count in result.as_counts().items() if name != "sent"}
        others = ", ".join(f"{count} {name}" for name, count in several.items() if count)
        return (
            f"{result.sent} of {self._total} sent{', ' if others else ''}{others}; {rate:.0f} a second"
            f"{f', about {left / rate:.0f} s to go' if left and rate > 0.1 else ''}"
        )
