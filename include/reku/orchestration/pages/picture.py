"""The last periods of an order as a picture: bars on a scale that shows three people beside three hundred thousand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reku.foundation.words import Words
from reku.store.kinds import EventKind
from reku.store.states import MessageState
from reku.views.funnel import FunnelRow

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 220, 56, 26
BARS = (
    ("accepted", Words("angenommen", "accepted")),
    ("sent", Words("versandt", "sent")),
    ("opened", Words("geöffnet", "opened")),
    ("clicked", Words("geklickt", "clicked")),
)
"""What has a bar in each period: its class, and its name."""


@dataclass(frozen=True)
class Bar:
    """One bar of the picture, in units of its view box."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class FunnelPicture:
    """Bars, the lines of the scale (count, y), and the names of the periods (text, x)."""

    bars: tuple[Bar, ...]
    lines: tuple[tuple[int, float], ...]
    names: tuple[tuple[str, float], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = HEIGHT - BOTTOM


def funnel_picture(periods: Sequence[FunnelRow]) -> FunnelPicture:
    """The periods from left to right, oldest first. Heights grow with the logarithm of the count, from 0."""
    counts = [figures(row) for row in periods]
    powers = max(1, math.ceil(math.log10(1 + max((n for of in counts for n in of.values()), default=1))))
    top, ground = 8, HEIGHT - BOTTOM

    def y_of(count: int) -> float:
        return round(ground - (ground - top) * math.log10(1 + count) / math.log10(1 + 10**powers), 1)

    step = (WIDTH - LEFT) / max(1, len(periods))
    wide = min(22.0, step * 0.8 / len(BARS))
    bars, names = [], []
    for number, (row, of) in enumerate(zip(periods, counts, strict=True)):
        middle = LEFT + step * (number + 0.5)
        names.append((f"{row.period:%d.%m.}" if row.period else "–", round(middle, 1)))
        begin = middle - wide * len(BARS) / 2
        for place, (kind, _) in enumerate(BARS):
            y = y_of(of[kind])
            bars.append(Bar(kind, round(begin + place * wide, 1), y, round(wide - 1, 1), round(ground - y, 1)))
    return FunnelPicture(tuple(bars), tuple((10**power, y_of(10**power)) for power in range(powers + 1)), tuple(names))


def figures(row: FunnelRow) -> dict[str, int]:
    """What people ask of a period, in the order of the funnel."""
    return {
        "rows": row.rows,
        "rejected": row.rejected,
        "accepted": row.accepted,
        "withheld": row.state(MessageState.WITHHELD),
        "sent": row.state(MessageState.SENT),
        "opened": row.response(EventKind.OPENED),
        "clicked": row.response(EventKind.CLICKED),
        "unsubscribed": row.response(EventKind.UNSUBSCRIBED),
        "bounced": sum(
            row.response(kind) for kind in (EventKind.BOUNCED_HARD, EventKind.BOUNCED_SOFT, EventKind.BOUNCED_UNKNOWN)
        ),
        "complained": row.response(EventKind.COMPLAINED),
        "in_doubt": row.state(MessageState.IN_DOUBT),
        "open": row.state(MessageState.OPEN, MessageState.CLAIMED),
    }
