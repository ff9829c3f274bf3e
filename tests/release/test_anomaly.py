"""What is judged unusual, and how it explains itself. How often normal deliveries ask: test_simulation.py."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.release.anomaly import LEAST_HISTORY, DeliveryLimits, JudgedMetric, PastMetric, explain, judge_metrics

LIMITS = DeliveryLimits(max_rows=10_000, max_without_consent=0.5)


def _rows(*values: int) -> dict[str, list[PastMetric]]:
    return {"rows": [PastMetric(value, value) for value in values]}


def _judge(name: str, value: float, people: int, history: list[PastMetric]) -> JudgedMetric:
    (judged,) = judge_metrics({name: value}, people, {name: history}, LIMITS)
    return judged


WEEKS = [118, 131, 104, 125, 140, 97, 121, 119, 133, 112, 126, 108, 122, 121]


@pytest.mark.parametrize(
    ("rows", "unusual"),
    [(120, False), (80, False), (180, False), (1, True), (12, True), (1210, True), (1200, True), (0, False)],
)
def test_rows_against_their_history(rows: int, unusual: bool) -> None:
    (judged,) = judge_metrics({"rows": rows}, rows, _rows(*WEEKS), LIMITS)
    assert judged.is_unusual is unusual


def test_a_figure_explains_itself_in_both_languages() -> None:
    (judged,) = judge_metrics({"rows": 1240}, 1240, _rows(*WEEKS), LIMITS)
    told = explain(judged)
    assert told.german == "1.240; üblich 66 bis 223 (Median 121 aus 14 Lieferungen)"
    assert told.english == "1,240; usually 66 to 223 (median 121 of 14 deliveries)"
    share = _judge("salutation_2", 1.0, 500, [PastMetric(0.5, 500)] * 9)
    assert explain(share).german == "100,0 %; üblich 30,4 % bis 69,6 % (Median 50,0 % aus 9 Lieferungen)"
    assert str(judged.basis) == "Median 121 aus 14 Lieferungen / median 121 of 14 deliveries"


def test_limits_hold_without_history_and_say_so() -> None:
    (judged,) = judge_metrics({"rows": 10_001}, 10_001, {}, LIMITS)
    assert judged.is_unusual
    assert explain(judged).german == "10.001; erlaubt bis 10.000 (Grenze max_rows)"
    assert explain(judged).english == "10,001; allowed up to 10,000 (limit max_rows)"
    assert not judge_metrics({"rows": 10_000}, 10_000, {}, LIMITS)[0].is_unusual


def test_limits_hold_against_a_history_that_is_beyond_them() -> None:
    (judged,) = judge_metrics({"rows": 12_000}, 12_000, _rows(*[12_000] * 30), LIMITS)
    assert judged.is_unusual
    assert judged.by_limit


@pytest.mark.parametrize(
    ("share", "people", "unusual"),
    [(0.5, 100, False), (0.51, 100, True), (1, 5, True), (1, 4, False), (0.6, 5, False), (5 / 6, 6, True)],
)
def test_share_without_consent_from_five_people_on(share: float, people: int, unusual: bool) -> None:
    assert _judge("without_consent", share, people, []).is_unusual is unusual


def test_below_eight_deliveries_there_is_no_history() -> None:
    few = _rows(*[100] * (LEAST_HISTORY - 1))
    assert not judge_metrics({"rows": 5000}, 5000, few, LIMITS)[0].is_unusual
    assert _judge("salutation_1", 1, 500, [PastMetric(0.5, 500)] * (LEAST_HISTORY - 1)).low is None
    assert judge_metrics({"rows": 5000}, 5000, _rows(*[100] * LEAST_HISTORY), LIMITS)[0].is_unusual


def test_empty_deliveries_are_no_history_of_others() -> None:
    assert not judge_metrics({"rows": 5000}, 5000, _rows(*[0] * 30), LIMITS)[0].is_unusual
    assert judge_metrics({"rows": 5000}, 5000, _rows(*[0] * 20, *[100] * 8), LIMITS)[0].is_unusual


def test_a_single_odd_delivery_of_the_past_opens_the_gate_no_further_than_the_clamp() -> None:
    history = _rows(*WEEKS, 100_000)
    assert judge_metrics({"rows": 1210}, 1210, history, LIMITS)[0].is_unusual
    assert judge_metrics({"rows": 12}, 12, history, LIMITS)[0].is_unusual


@pytest.mark.parametrize(
    ("name", "usual", "now", "unusual"),
    [
        ("salutation_1", 0.5, 1.0, True),
        ("salutation_1", 0.5, 0.6, False),
        ("salutation_4", 1.0, 1.0, False),
        ("salutation_4", 1.0, 0.0, True),
        ("salutation_3", 0.0, 0.01, False),
        ("salutation_3", 0.0, 0.5, True),
        ("without_consent", 0.02, 0.45, True),
        ("without_consent", 0.3, 0.0, True),  # all of a sudden everybody has consented
        ("without_consent", 0.02, 0.0, False),
        ("in_previous", 0.95, 0.0, True),
        ("in_previous", 0.0, 0.9, True),
        ("unknown_domains", 0.05, 0.9, True),
        ("unknown_domains", 0.6, 0.0, False),  # falls by itself
    ],
)
def test_shares_against_their_history(name: str, usual: float, now: float, unusual: bool) -> None:
    assert _judge(name, now, 400, [PastMetric(usual, 400)] * 12).is_unusual is unusual


def test_few_people_tell_little() -> None:
    history = [PastMetric(0.5, 400)] * 12
    assert _judge("salutation_1", 1.0, 50, history).is_unusual
    assert not _judge("salutation_1", 1.0, 5, history).is_unusual


def test_a_limit_below_all_that_came_before_leaves_a_sound_range() -> None:
    judged = _judge("rows", 1, 1, [PastMetric(80_000, 80_000)] * 8)
    assert (judged.low, judged.high, judged.is_unusual) == (LIMITS.max_rows, LIMITS.max_rows, True)


metric = st.sampled_from(["rows", "salutation_1", "without_consent", "unknown_domains", "in_previous"])
people = st.integers(1, 2_000_000)
shares = st.builds(PastMetric, st.floats(0, 1), people)
counts = people.map(lambda rows: PastMetric(rows, rows))


@given(metric, people, st.floats(0, 1), st.data())
def test_every_history_gives_a_range_that_holds_its_median(
    name: str, now: int, share: float, data: st.DataObject
) -> None:
    """Whatever came before: no crash, the range is sound, and the median of many passes unless a limit forbids it."""
    past = data.draw(st.lists(counts if name == "rows" else shares, min_size=LEAST_HISTORY, max_size=40))
    (judged,) = judge_metrics({name: now if name == "rows" else share}, now, {name: past}, LIMITS)
    assert judged.low is not None
    assert judged.high is not None
    assert 0 <= judged.low <= judged.high
    if name == "rows" and not judged.by_limit:
        middle = math.exp(sorted(math.log(one.value) for one in past)[len(past) // 2])
        assert judged.low <= middle + 1
        assert judged.high <= LIMITS.max_rows
    if name != "rows":
        assert judged.high <= 1
