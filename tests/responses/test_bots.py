"""Bots told from people: the labelled table, and what must hold for any hits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reku.catalogue.bot_rules import FILE, BotRule, BotRules, load_bot_rules
from reku.foundation.settings import INCLUDE
from reku.responses.bots import Hit, mark_bots

SENT = datetime(2026, 11, 22, 9, 0, 41, tzinfo=UTC)
RULES = load_bot_rules(INCLUDE / FILE)
TABLE = yaml.safe_load(Path(__file__).with_name("bots_labelled.yaml").read_text(encoding="utf-8"))
AGENTS: dict[str, str] = TABLE["agents"]


def _hit(after: float, link: int = 0, agent: str = "firefox") -> Hit:
    return Hit("CLICKED" if link else "OPENED", SENT + timedelta(seconds=after), link, AGENTS[agent])


def _sequences() -> Iterator[tuple[str, list[Hit], list[str]]]:
    """Each sequence of the table: its name, its hits and the label of each."""
    for label in ("person", "bot"):
        for name, written in TABLE[label].items():
            parts = [line.split() for line in written]
            hits = [_hit(float(part[0]), 0 if part[1] == "open" else int(part[1]), part[2]) for part in parts]
            yield name, hits, [part[3] if len(part) > 3 else label for part in parts]


SEQUENCES = list(_sequences())


def _figures(rules: BotRules) -> tuple[list[str], float, list[str]]:
    """Names of sequences with a marked hit of a person, share of the bots' hits marked, those not marked."""
    wrong, missed, bots = [], [], 0
    for name, hits, labels in SEQUENCES:
        for verdict, label in zip(mark_bots(hits, SENT, rules), labels, strict=True):
            bots += label == "bot"
            if verdict and label == "person":
                wrong.append(f"{name}: {verdict}")
            if not verdict and label == "bot":
                missed.append(name)
    return wrong, 1 - len(missed) / bots, missed


def _without(*names: str) -> BotRules:
    kept = tuple(rule for rule in RULES.rules if rule.name not in names)
    assert len(kept) == len(RULES.rules) - len(names)
    return BotRules(rules=kept)


def _with(**rule: Any) -> BotRules:
    return BotRules(rules=(*RULES.rules, BotRule.model_validate({"name": "eager", "why": "x"} | rule)))


def test_the_table_is_large_enough_and_in_order_of_time() -> None:
    labels = [set(labels) for _, _, labels in SEQUENCES]
    assert len(SEQUENCES) >= 40
    assert sum("person" in each for each in labels) >= 30
    assert sum("bot" in each for each in labels) >= 30
    for name, hits, _ in SEQUENCES:
        assert hits == sorted(hits, key=lambda hit: hit.at), name


def test_no_person_is_marked_and_the_machines_are() -> None:
    wrong, share, missed = _figures(RULES)
    assert wrong == []
    assert share >= 0.95, missed


def test_each_rule_marks_a_machine_that_no_other_marks() -> None:
    """A rule without which the table looks the same is not guarded by it."""
    share = _figures(RULES)[1]
    for rule in RULES.rules:
        assert _figures(_without(rule.name))[1] < share, rule.name


@pytest.mark.parametrize("without", [("apple-privacy", "no-agent"), ("mail-scanner", "all-at-once", "links-at-once")])
def test_the_table_notices_rules_that_are_missing(without: tuple[str, ...]) -> None:
    assert _figures(_without(*without))[1] < 0.95


@pytest.mark.parametrize(
    "rule",
    [
        {"agent_has": ["GoogleImageProxy"]},
        {"agent_has": ["YahooMailProxy"]},
        {"agent_has": ["ms-office"]},
        {"agent_has": ["bot"]},
        {"agent_has": ["libwww"]},
        {"agent_has": ["dalvik/"]},
        {"of": ["OPENED"], "sooner_than": "5s"},
        {"of": ["CLICKED"], "sooner_than": "10s"},
        {"crowd": {"different": 2, "within": "20s", "by": "message"}},
        {"crowd": {"different": 2, "within": "1s", "by": "agent"}},
        {"crowd": {"different": 4, "within": "5s", "by": "message"}},
    ],
    ids=str,
)
def test_the_table_notices_a_rule_that_marks_people(rule: dict[str, Any]) -> None:
    assert _figures(_with(**rule))[0] != []


def test_an_early_burst_leaves_a_later_click_alone() -> None:
    burst = [_hit(9 + place / 10, link, "chrome") for place, link in enumerate((1, 2, 3, 4))]
    verdicts = mark_bots([*burst, _hit(190, 1, "chrome")], SENT, RULES)
    assert all(verdicts[:4])
    assert verdicts[4] == ""


def test_without_the_moment_of_sending_no_rule_asks_for_it() -> None:
    assert mark_bots([_hit(0.5), _hit(1, 1)], SENT, RULES) == ["open-too-soon", "click-too-soon"]
    assert mark_bots([_hit(0.5), _hit(2, 1)], None, RULES) == ["", ""]


def test_a_hit_before_the_mail_shows_that_clocks_differ() -> None:
    assert mark_bots([_hit(-3), _hit(-1, 1)], SENT, RULES) == ["", ""]


@pytest.mark.parametrize(("apart", "marked"), [(1.0, "scan-at-arrival"), (1.001, "")])
def test_a_crowd_ends_with_its_time(apart: float, marked: str) -> None:
    assert mark_bots([_hit(20, 1), _hit(20 + apart, 2)], SENT, RULES) == [marked, marked]


@pytest.mark.parametrize(("after", "marked"), [(1.999, "open-too-soon"), (2, "")])
def test_too_soon_ends_with_its_time(after: float, marked: str) -> None:
    assert mark_bots([_hit(after)], SENT, RULES) == [marked]


def test_a_crowd_by_message_is_of_links_alone() -> None:
    """Whatever fetches the pixel may be the person, whose own machine looks at the links."""
    crowd = {"different": 2, "within": "1s", "by": "message"}
    rules = BotRules(rules=(BotRule.model_validate({"name": "links", "crowd": crowd, "why": "x"}),))
    assert mark_bots([_hit(100), _hit(100.2, 1)], SENT, rules) == ["", ""]
    assert mark_bots([_hit(100), _hit(100.2, 1), _hit(100.4, 2)], SENT, rules) == ["", "links", "links"]


def test_the_first_rule_that_holds_gives_its_name() -> None:
    assert mark_bots([_hit(0.5, 0, "apple")], SENT, RULES) == ["apple-privacy"]
    assert mark_bots([_hit(0.5, 0, "barracuda")], SENT, RULES) == ["mail-scanner"]


def test_case_of_an_agent_and_what_cuts_it_off_do_not_matter() -> None:
    assert mark_bots([Hit("CLICKED", SENT + timedelta(hours=1), 1, "BARRACUDA SENTINEL"[:9])], SENT, RULES) == [
        "mail-scanner"
    ]


def test_no_rules_mark_nobody() -> None:
    for _, hits, _ in SEQUENCES:
        assert set(mark_bots(hits, SENT, BotRules(rules=()))) == {""}


def test_many_hits_of_one_message_take_no_square_of_time() -> None:
    """Somebody may ask for one link for ever. Counted, not timed: the machine may be busy."""
    read = 0

    class Counting(Hit):
        def __getattribute__(self, name: str) -> Any:
            nonlocal read
            read += 1
            return super().__getattribute__(name)

    count = 2000
    hits = [Counting("CLICKED", SENT + timedelta(hours=1, microseconds=place), 1, "x") for place in range(count)]
    mark_bots(hits, SENT, RULES)
    assert read <= 20 * len(RULES.timed) * count


# Around few moments, so that hits crowd: some by one agent, some on one link.
hits_of_a_message = st.lists(
    st.tuples(
        st.builds(lambda around, after: around + after / 10, st.sampled_from((0, 20, 70, 5000)), st.integers(0, 40)),
        st.integers(0, 6),
        st.sampled_from(
            ("chrome", "chrome", "firefox", "edge", "gmail-proxy", "apple", "none", "barracuda", "samsung-mail")
        ),
    ),
    max_size=25,
).map(lambda drawn: [_hit(*each) for each in sorted(drawn)])


@given(hits_of_a_message, st.none() | st.just(SENT))
def test_one_verdict_each_always_the_same(hits: list[Hit], sent_at: datetime | None) -> None:
    verdicts = mark_bots(hits, sent_at, RULES)
    assert len(verdicts) == len(hits)
    assert set(verdicts) <= {"", *(rule.name for rule in RULES.rules)}
    assert mark_bots(hits, sent_at, RULES) == verdicts


@given(hits_of_a_message, st.integers(0, 6), st.sampled_from(sorted(AGENTS)))
def test_an_hour_later_changes_nothing_and_is_judged_by_itself(hits: list[Hit], link: int, agent: str) -> None:
    later = _hit(max((hit.at - SENT).total_seconds() for hit in hits) + 3600 if hits else 3600, link, agent)
    verdicts = mark_bots([*hits, later], SENT, RULES)
    assert verdicts[:-1] == mark_bots(hits, SENT, RULES)
    assert verdicts[-1:] == mark_bots([later], SENT, RULES)


@given(hits_of_a_message)
def test_a_verdict_hangs_on_nothing_beyond_the_reach_of_the_rules(hits: list[Hit]) -> None:
    verdicts = mark_bots(hits, SENT, RULES)
    for place, hit in enumerate(hits):
        near = [other for other in hits if abs(other.at - hit.at) <= RULES.reach]
        at = [other is hit for other in near].index(True)
        assert mark_bots(near, SENT, RULES)[at] == verdicts[place]


@given(hits_of_a_message)
def test_a_further_hit_never_clears_a_bot(hits: list[Hit]) -> None:
    for end in range(len(hits)):
        before, after = mark_bots(hits[:end], SENT, RULES), mark_bots(hits[: end + 1], SENT, RULES)
        assert all(now for was, now in itertools.zip_longest(before, after[:end]) if was)


@given(hits_of_a_message, st.randoms())
def test_the_order_within_one_moment_does_not_matter(hits: list[Hit], dice: Any) -> None:
    shuffled = sorted(dice.sample(hits, len(hits)), key=lambda hit: hit.at)

    def told(of: list[Hit]) -> list[Any]:
        return sorted(
            (hit.at, hit.link, hit.agent, said) for hit, said in zip(of, mark_bots(of, SENT, RULES), strict=True)
        )

    assert told(shuffled) == told(hits)
