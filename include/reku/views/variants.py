"""How the variants of campaigns do against one another (A/B), with how far chance alone may have made the difference.

Rates are of people with consent to tracking who were sent a mail, since of others nobody knows. Intervals are Wilson's,
that of a difference is Newcombe's (both hold for small numbers and rates near 0, where the usual formula does not).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, groupby
from math import sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

import sqlalchemy as sa

from reku.store.kinds import EventKind
from reku.store.states import MessageState
from reku.store.tables import deliveries, messages, responses

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """Where a rate lies with 95 % confidence, from 0 to 1."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.1%} to {self.high:.1%}"


@dataclass(frozen=True)
class VariantRow:
    """One variant of an order. `sent`: people; `tracked`: those of them whose opens and clicks are counted."""

    institute: str
    order_number: str
    variant: str
    sent: int
    tracked: int
    opened: int
    clicked: int

    @property
    def open_rate(self) -> Interval:
        """Where the share of people who open lies."""
        return wilson(self.opened, self.tracked)

    @property
    def click_rate(self) -> Interval:
        """Where the share of people who click lies."""
        return wilson(self.clicked, self.tracked)

    def as_dict(self) -> dict[str, Any]:
        """The row for JSON."""
        return asdict(self) | {"open_rate": [*self.open_rate], "click_rate": [*self.click_rate]}


def variant_rows(engine: sa.Engine, institute: str = "", order: str = "") -> list[VariantRow]:
    """A row for each variant that anybody was sent, by institute, order and name; of all, or of those named."""

    def came(kind: EventKind) -> sa.ColumnElement[int]:
        some = sa.exists().where(responses.c.message_id == messages.c.id, responses.c.kind == kind)
        return sa.func.count().filter(messages.c.tracking, some)

    place = (deliveries.c.institute, deliveries.c.order_number, messages.c.variant)
    wanted = [
        column == value
        for column, value in ((deliveries.c.institute, institute), (deliveries.c.order_number, order))
        if value
    ]
    query = (
        sa.select(
            *place,
            sa.func.count().label("sent"),
            sa.func.count().filter(messages.c.tracking).label("tracked"),
            came(EventKind.OPENED).label("opened"),
            came(EventKind.CLICKED).label("clicked"),
        )
        .join(deliveries, deliveries.c.id == messages.c.delivery_id)
        .where(messages.c.variant != "", messages.c.state == MessageState.SENT, *wanted)
        .group_by(*place)
        .order_by(*place)
    )
    with engine.connect() as connection:
        return [VariantRow(*row) for row in connection.execute(query)]


def comparisons(rows: Sequence[VariantRow]) -> dict[tuple[str, str], str]:
    """What may be said of the variants of each order (institute, order number), in sentences for a person."""
    said = {}
    for place, group in groupby(rows, key=lambda row: (row.institute, row.order_number)):
        variants = list(group)
        pairs = list(combinations(variants, 2))
        said[place] = " ".join(
            _compared(what, one, other, len(pairs)) for what in ("opened", "clicked") for one, other in pairs
        )
    return said


def wilson(count: int, total: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's interval of a share; from 0 to 1 where nobody was asked."""
    if total == 0:
        return Interval(0.0, 1.0)
    z, share = _quantile(confidence), count / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    reach = z / (1 + z * z / total) * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return Interval(max(0.0, middle - reach), min(1.0, middle + reach))


def difference(one: tuple[int, int], other: tuple[int, int], confidence: float = CONFIDENCE) -> Interval:
    """Newcombe's interval of the difference of two shares, each (count, total)."""
    (low, high), (other_low, other_high) = wilson(*one, confidence), wilson(*other, confidence)
    share, other_share = (count / total if total else 0.0 for count, total in (one, other))
    down = sqrt((share - low) ** 2 + (other_high - other_share) ** 2)
    up = sqrt((high - share) ** 2 + (other_share - other_low) ** 2)
    return Interval(share - other_share - down, share - other_share + up)


def _quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _compared(what: str, one: VariantRow, other: VariantRow, pairs: int) -> str:
    """`pairs`: how many are compared at once; each then needs more (Bonferroni), or one of them differs by chance."""
    counts = [(getattr(row, what), row.tracked) for row in (one, other)]
    low, high = difference(counts[0], counts[1], 1 - (1 - CONFIDENCE) / pairs)
    if low <= 0 <= high:
        return f"{what}: the difference between {one.variant} and {other.variant} may be chance."
    better, worse = (one, other) if low > 0 else (other, one)
    least = min(abs(low), abs(high))
    return f"{what}: {better.variant} is ahead of {worse.variant} by at least {100 * least:.1f} points of a hundred."
