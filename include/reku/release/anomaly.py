"""Is a delivery as a whole what was to be expected? Pure functions over its metrics; no database, no Airflow.

A metric is held against the order's earlier deliveries that went through (median and median absolute deviation: what
happened once does not move them) and against limits that hold without any history. Counts are compared on a log scale,
shares on the arcsine scale, where the noise of a sample does not depend on the share (Anscombe 1948). How often normal
deliveries are asked about is simulated in tests/quality/test_simulation.py; docs/operations.md has the metrics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from reku.foundation.words import Words
from reku.store.metric_names import DAMAGED, ROWS, UNKNOWN_DOMAINS, WITHOUT_CONSENT

LEAST_HISTORY, MOST_HISTORY = 8, 30
"""From so many earlier deliveries on they are a measure; no more than the last so many are looked at."""

WIDTH = 3.5
"""How many standard deviations off still is normal."""
FEW = 8.0
"""How much wider the range is while the history is short: by this over the number of its deliveries."""
COUNT_FLOOR, SHARE_FLOOR = 0.12, 0.04
"""Deviation (of the logarithm, in radians of the arcsine) that is never taken for unusual by itself."""
CLAMP = 8.0
"""Whatever the history looks like: more than so many times the median, or less than that part of it, is asked about."""
TELLING_HIGH, TELLING_LOW = 2, 50
"""Medians, in rows, from which on that holds upwards and downwards: fewer rows vary that much by chance."""
FEWEST_WITHOUT_CONSENT = 5
"""So few people without consent never break the limit of their share; they are not mailed anyway."""

_MAD = 1.4826
"""Standard deviations in a median absolute deviation, for normally distributed values."""

Range = tuple[float, float]


@dataclass(frozen=True)
class PastMetric:
    """A metric of an earlier delivery, and how many accepted rows that one had."""

    value: float
    people: int


@dataclass(frozen=True)
class DeliveryLimits:
    """What holds without any history: rows of a delivery, the shares of people without consent and of damaged rows."""

    max_rows: int
    max_without_consent: float
    max_damaged: float = 0.01


@dataclass(frozen=True)
class JudgedMetric:
    """A metric, the range that passes unasked (ends included; None: nothing to measure by), and where that is from.

    `by_limit`: it is a limit of the configuration that speaks, not the order's history.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    basis: Words | None = None
    by_limit: bool = False

    @property
    def is_unusual(self) -> bool:
        """Whether a person has to look at it."""
        return self.low is not None and self.high is not None and not self.low <= self.value <= self.high


def judge_metrics(
    values: Mapping[str, float], people: int, history: Mapping[str, Sequence[PastMetric]], limits: DeliveryLimits
) -> list[JudgedMetric]:
    """Judge the metrics of one delivery with `people` accepted rows, in the order in which `values` has them.

    `history`: metric → its values in earlier deliveries, in any order. An empty delivery is never unusual: nothing is
    sent. Empty ones do not count as history of the row count either.
    """
    return [_judge(name, value, people, history.get(name, ()), limits) for name, value in values.items()]


def _judge(name: str, value: float, people: int, history: Sequence[PastMetric], limits: DeliveryLimits) -> JudgedMetric:
    if value == 0 and name == ROWS:
        return JudgedMetric(name, value)
    limit = _limit(name, people, limits)
    past = [one for one in history if one.people > 0]
    if limit is not None and (value > limit.high or len(past) < LEAST_HISTORY):
        return JudgedMetric(name, value, 0, limit.high, limit.basis, by_limit=True)
    if len(past) < LEAST_HISTORY:
        return JudgedMetric(name, value)
    low, high = _count_range(past) if name == ROWS else _share_range(past, people)
    if name == UNKNOWN_DOMAINS:
        low = 0.0  # every delivery makes more domains known, so it falls by itself
    if limit is not None:  # earlier ones may lie above it: a person let them through, or it was set since
        low, high = min(low, limit.high), min(high, limit.high)
    return JudgedMetric(name, value, low, high, _basis(name, past))


@dataclass(frozen=True)
class _Limit:
    high: float
    basis: Words


def _limit(name: str, people: int, limits: DeliveryLimits) -> _Limit | None:
    if name == ROWS:
        return _Limit(limits.max_rows, Words("Grenze max_rows", "limit max_rows"))
    if name == WITHOUT_CONSENT and people > 0:
        few = min(1.0, (FEWEST_WITHOUT_CONSENT - 1) / people)
        high = max(limits.max_without_consent, few)
        return _Limit(high, Words("Grenze max_without_consent", "limit max_without_consent"))
    if name == DAMAGED:
        return _Limit(limits.max_damaged, Words("Grenze max_damaged", "limit max_damaged"))
    return None


def _width(history: int) -> float:
    return WIDTH + FEW / history


def _count_range(past: Sequence[PastMetric]) -> Range:
    """Rows from and to, whole numbers."""
    logs = [math.log(one.value) for one in past]
    centre = median(logs)
    usual = math.exp(centre)
    floor = math.hypot(COUNT_FLOOR, 1 / math.sqrt(usual))
    reach = _width(len(past)) * max(_deviation(logs, centre), floor)
    # What went through before may come again: an order with a strong day of the week has two medians, as it were.
    low = math.exp(min(centre - reach, min(logs) - 2 * floor))
    high = math.exp(max(centre + reach, max(logs) + 2 * floor))
    if usual >= TELLING_LOW:
        low = max(low, usual / CLAMP)
    if usual >= TELLING_HIGH:
        high = min(high, usual * CLAMP)
    return math.ceil(low), math.floor(high)


def _share_range(past: Sequence[PastMetric], people: int) -> Range:
    """Shares from and to for a delivery of so many people."""
    angles = [_angle(one.value, one.people) for one in past]
    noises = [_noise(one.people) for one in past]
    centre, noise = median(angles), _noise(people)
    own = math.sqrt(max(0.0, _deviation(angles, centre) ** 2 - median(noises) ** 2))  # what is not noise of samples
    reach = _width(len(past)) * math.hypot(max(own, SHARE_FLOOR), noise)
    # Shares that earlier deliveries had for certain, not by the chance of few people.
    margin = WIDTH * noise
    low = min(centre - reach, min(a + 2 * n for a, n in zip(angles, noises, strict=True)) - margin)
    high = max(centre + reach, max(a - 2 * n for a, n in zip(angles, noises, strict=True)) + margin)
    return _share(low, people), _share(high, people)


def _deviation(values: Sequence[float], centre: float) -> float:
    return _MAD * median(abs(value - centre) for value in values)


def _noise(people: int) -> float:
    """Standard deviation of the angle of a share of so many people."""
    return 0.5 / math.sqrt(people + 0.5)


def _angle(share: float, people: int) -> float:
    return math.asin(math.sqrt((share * people + 0.375) / (people + 0.75)))


def _share(angle: float, people: int) -> float:
    """The inverse of `_angle`, kept between 0 and 1."""
    within = math.sin(min(max(angle, 0.0), math.pi / 2)) ** 2
    return min(max((within * (people + 0.75) - 0.375) / people, 0.0), 1.0)


def _basis(name: str, past: Sequence[PastMetric]) -> Words:
    middle = median(one.value for one in past)
    return Words(
        f"Median {show(name, middle).german} aus {len(past)} Lieferungen",
        f"median {show(name, middle).english} of {len(past)} deliveries",
    )


def explain(metric: JudgedMetric) -> Words:
    """The value with its range: `1.240; üblich 90 bis 160 (Median 121 aus 14 Lieferungen)`."""
    value = show(metric.name, metric.value)
    if metric.low is None or metric.high is None or metric.basis is None:
        return value
    low, high = show(metric.name, metric.low), show(metric.name, metric.high)
    if metric.by_limit:
        german, english = f"erlaubt bis {high.german}", f"allowed up to {high.english}"
    else:
        german, english = f"üblich {low.german} bis {high.german}", f"usually {low.english} to {high.english}"
    return Words(
        f"{value.german}; {german} ({metric.basis.german})", f"{value.english}; {english} ({metric.basis.english})"
    )


def show(name: str, value: float) -> Words:
    """A value of a metric as people read it: `1.240`, or `41,2 %`."""
    english = f"{value:,.0f}" if name == ROWS else f"{value:.1%}"
    german = english.translate(str.maketrans(",.", ".,")).replace("%", " %")
    return Words(german, english)
