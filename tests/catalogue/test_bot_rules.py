"""The file of rules by which bots are told from people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from reku.catalogue.bot_rules import FILE, BotRules, bot_rules, load_bot_rules
from reku.foundation.errors import ConfigError
from reku.foundation.settings import INCLUDE, settings


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    bot_rules.cache_clear()
    yield
    bot_rules.cache_clear()


def test_every_shipped_rule_names_its_source() -> None:
    rules = load_bot_rules(INCLUDE / FILE).rules
    assert all(len(rule.why) > 40 for rule in rules)
    assert all("." in rule.why for rule in rules if rule.agent_is or rule.agent_has)


def test_the_configuration_s_own_file_takes_the_place_of_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REKU_CONFIG_DIR", str(tmp_path))
    settings.cache_clear()
    assert bot_rules().rules == load_bot_rules(INCLUDE / FILE).rules
    (tmp_path / FILE).write_text("rules: []\n", encoding="utf-8")
    bot_rules.cache_clear()
    assert bot_rules().rules == ()


def test_reach_is_the_longest_crowd() -> None:
    assert load_bot_rules(INCLUDE / FILE).reach == timedelta(seconds=3)
    assert BotRules(rules=()).reach == timedelta(0)


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("name: x1, why: y", "at least one"),
        ("name: x1, agent_has: [abc]", "'why' is missing"),
        ("agent_has: [abc], why: y", "'name' is missing"),
        ("name: Viel zu Groß, agent_has: [abc], why: y", "name"),
        ("name: x1, agent_has: [ab], why: y", "agent_has"),
        ("name: x1, agent_hat: [abc], why: y", "agent_has"),
        ("name: x1, of: [UNSUBSCRIBED], agent_has: [abc], why: y", "OPENED"),
        ("name: x1, of: [], agent_has: [abc], why: y", "of"),
        ("name: x1, sooner_than: 2, why: y", "90s"),
        ("name: x1, crowd: {different: 1, within: 1s, by: agent}, why: y", "different"),
        ("name: x1, crowd: {different: 3, within: 1s, by: agents}, why: y", "Did you mean 'agent'"),
        ("name: x1, crowd: {different: 3, by: agent}, why: y", "within"),
        ("name: x1, agent_has: [abc], why: y}, {name: x1, agent_has: [abc], why: y", "more than once"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, rule: str, named: str) -> None:
    file = tmp_path / FILE
    file.write_text(f"rules: [{{{rule}}}]\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_bot_rules(file)
    assert f"{file}:1: " in str(caught.value)
    assert named in str(caught.value)
