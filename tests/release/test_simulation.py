"""How often normal deliveries ask a person, and that wrong ones always do: simulated orders of many kinds.

Seeded, so it comes out the same each time; docs/operations.md has the table.
"""

from __future__ import annotations

import math
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from statistics import median

import pytest

from reku.release.anomaly import (
    LEAST_HISTORY,
    MOST_HISTORY,
    TELLING_HIGH,
    TELLING_LOW,
    DeliveryLimits,
    PastMetric,
    judge_metrics,
)
from reku.store.metric_names import IN_PREVIOUS, ROWS, SALUTATIONS, UNKNOWN_DOMAINS, WITHOUT_CONSENT, salutation
from tests.conftest import PROJECT

LIMITS = DeliveryLimits(max_rows=10_000, max_without_consent=0.5)
ORDERS, EACH = 40, 25
"""Orders of a kind, and deliveries of each that are judged by their history: 1,000."""
ENOUGH_PEOPLE = 50
"""From so many on a share can always be told from chance."""

Metrics = dict[str, float]


def _even(_: random.Random) -> list[float]:
    return [1]


def _mondays(_: random.Random) -> list[float]:
    return [3, 1, 1, 1, 1]


def _weekdays(dice: random.Random) -> list[float]:
    return [dice.uniform(0.85, 1.15) for _ in range(5)] + [dice.uniform(0.3, 1) for _ in range(2)]


@dataclass(frozen=True)
class Kind:
    """A kind of order. `usual`: rows of an order lie in between. `pattern`: by the place of the delivery in a week.

    `noise`: deviation of the logarithm beside that of chance; `trend`: growth or decline by delivery and a yearly
    season; `firms`: nobody else; `returning`: most people stand in each delivery.
    """

    usual: tuple[float, float]
    noise: float
    pattern: Callable[[random.Random], list[float]] = _even
    trend: bool = False
    firms: bool = False
    returning: bool = False


KINDS = {
    "daily, fewer at weekends": Kind((40, 400), 0.15, _weekdays),
    "on working days, threefold on Mondays": Kind((20, 200), 0.15, _mondays),
    "weekly": Kind((60, 900), 0.2),
    "monthly, growing or shrinking, with a season": Kind((100, 3000), 0.15, trend=True),
    "small bank, 5 to 30 rows a day": Kind((5, 30), 0.2, _weekdays),
    "very small, up to 5 rows": Kind((0.5, 5), 0.3),
    "firms only": Kind((15, 150), 0.25, firms=True),
    "large, 3,000 to 6,000 rows": Kind((3000, 6000), 0.1, trend=True),
    "newsletter, the same people each time": Kind((500, 4000), 0.03, returning=True),
}


class Order:
    """One simulated order: its deliveries, one after another."""

    def __init__(self, kind: Kind, dice: random.Random) -> None:
        self.kind, self._dice = kind, dice
        self._usual = dice.uniform(*kind.usual)
        self._pattern = kind.pattern(dice)
        self._growth, self._season = (dice.uniform(-0.02, 0.03), dice.uniform(0, 0.3)) if kind.trend else (0.0, 0.0)
        women, divers, firms = dice.uniform(0.35, 0.65), dice.uniform(0, 0.06), dice.choice([0, dice.uniform(0, 0.3)])
        people = 1 - divers - firms
        self._mix = [0, 0, 0, 1.0] if kind.firms else [(1 - women) * people, women * people, divers, firms]
        self._without_consent = dice.choice([0, dice.uniform(0.005, 0.05), dice.uniform(0.05, 0.25)])
        self._new, self._strange = dice.uniform(0.2, 1), dice.uniform(0.005, 0.08)
        self._returning = dice.uniform(0.85, 0.99) if kind.returning else dice.choice([0, dice.uniform(0, 0.03)])

    def deliveries(self) -> Iterator[tuple[int, Metrics]]:
        """Rows and metrics, without end."""
        number = 0
        while True:
            season = 1 + self._season * math.sin(math.pi * number / 6)
            expected = self._usual * self._pattern[number % len(self._pattern)] * (1 + self._growth) ** number * season
            rows = min(LIMITS.max_rows, self._poisson(expected * math.exp(self._dice.gauss(0, self.kind.noise))))
            yield rows, {ROWS: rows} | (self._shares(rows, number) if rows else {})
            number += 1

    def _shares(self, rows: int, number: int) -> Metrics:
        counts = dict(zip(map(salutation, SALUTATIONS), self._split(rows), strict=True))
        counts[WITHOUT_CONSENT] = self._some(rows, self._without_consent)
        # The list begins empty; with every delivery more domains are known.
        counts[UNKNOWN_DOMAINS] = (
            self._some(rows, self._new / math.sqrt(number + 1) + self._strange) if number else rows
        )
        if number:
            counts[IN_PREVIOUS] = self._some(rows, self._returning)
        return {name: count / rows for name, count in counts.items()}

    def _split(self, rows: int) -> list[int]:
        weights = [share * math.exp(self._dice.gauss(0, 0.08)) for share in self._mix]
        counts, left, weight = [], rows, sum(weights)
        for share in weights[:-1]:
            counts.append(self._binomial(left, share / weight if weight > 1e-9 else 0))
            left, weight = left - counts[-1], weight - share
        return [*counts, left]

    def _some(self, rows: int, share: float) -> int:
        """A part of the rows; the share itself moves from one delivery to the next."""
        if not 0 < share < 1:
            return rows if share >= 1 else 0
        moved = math.log(share / (1 - share)) + self._dice.gauss(0, 0.2)
        return self._binomial(rows, 1 / (1 + math.exp(-moved)))

    def _binomial(self, rows: int, share: float) -> int:
        if rows > 200:
            drawn = self._dice.gauss(rows * share, math.sqrt(rows * share * max(0.0, 1 - share)))
            return min(rows, max(0, round(drawn)))
        return sum(self._dice.random() < share for _ in range(rows))

    def _poisson(self, expected: float) -> int:
        if expected > 200:
            return max(0, round(self._dice.gauss(expected, math.sqrt(expected))))
        count, product = 0, self._dice.random()
        while product > math.exp(-expected):
            count, product = count + 1, product * self._dice.random()
        return count


@dataclass
class Outcome:
    """Normal deliveries judged and asked about; by kind of fault the wrong ones asked about and missed."""

    judged: int = 0
    asked: int = 0
    wrong: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    missed: dict[str, int] = field(default_factory=lambda: defaultdict(int))


@cache
def simulate(kind: str) -> Outcome:
    """All orders of a kind. An unusual but normal delivery is approved, so that it becomes history as well."""
    found, dice = Outcome(), random.Random(f"normal deliveries: {kind}")  # noqa: S311 - a simulation
    for _ in range(ORDERS):
        past: list[tuple[int, Metrics]] = []
        before = found.judged
        for rows, metrics in Order(KINDS[kind], dice).deliveries():
            if len(past) >= LEAST_HISTORY:
                history = _history(past[-MOST_HISTORY:])
                found.judged += 1
                found.asked += _asks(metrics, rows, history)
                _break(found, metrics, rows, history)
            if rows:
                past.append((rows, metrics))
            if found.judged - before == EACH:
                break
    return found


def _history(past: list[tuple[int, Metrics]]) -> Mapping[str, list[PastMetric]]:
    history: defaultdict[str, list[PastMetric]] = defaultdict(list)
    for rows, metrics in past:
        for name, value in metrics.items():
            history[name].append(PastMetric(value, rows))
    return history


def _asks(metrics: Metrics, people: int, history: Mapping[str, list[PastMetric]]) -> bool:
    return any(metric.is_unusual for metric in judge_metrics(metrics, people, history, LIMITS))


def _break(found: Outcome, metrics: Metrics, rows: int, history: Mapping[str, list[PastMetric]]) -> None:
    """The same delivery gone wrong, where the order is large enough to tell."""
    usual = math.exp(median(math.log(past.value) for past in history[ROWS]))
    faults: dict[str, tuple[int, Metrics]] = {}
    if usual >= TELLING_HIGH:
        faults["ten times the rows"] = round(10 * usual), {}
    if usual >= TELLING_LOW:
        faults["a tenth of the rows"] = round(usual / 10), {}
    if rows >= ENOUGH_PEOPLE:
        mixed = sum(0.2 < metrics[salutation(value)] < 0.8 for value in SALUTATIONS) > 1
        for value in SALUTATIONS if mixed else ():
            one = {salutation(other): float(other == value) for other in SALUTATIONS}
            faults[f"all of salutation {value}"] = rows, one
        faults["all without consent"] = rows, {WITHOUT_CONSENT: 1.0}
    for name, (count, changed) in faults.items():
        wrong = {ROWS: float(count)} | changed if changed else {ROWS: float(count)}
        found.wrong[name] += 1
        found.missed[name] += not _asks(wrong, count, history)


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_thousand_normal_deliveries_at_most_one_in_a_hundred_asks(kind: str) -> None:
    found = simulate(kind)
    assert found.judged == ORDERS * EACH
    assert found.asked <= 0.01 * found.judged


def test_wrong_deliveries_always_ask() -> None:
    wrong: defaultdict[str, int] = defaultdict(int)
    for kind in KINDS:
        found = simulate(kind)
        assert {name: missed for name, missed in found.missed.items() if missed} == {}, kind
        for name, count in found.wrong.items():
            wrong[name] += count
    assert len(wrong) == 7
    assert min(wrong.values()) > 3000


def test_the_handbook_has_these_rates() -> None:
    page = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| ([^|]+) \| ([0-9.]+) % \|$", page, re.MULTILINE))
    assert told == {kind: f"{100 * simulate(kind).asked / simulate(kind).judged:.1f}" for kind in KINDS}
