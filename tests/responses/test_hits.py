"""Opens and clicks wait until they have settled; those of people become events, those of bots do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.settings import settings
from reku.responses import hits as judging
from reku.responses.bots import Hit
from reku.responses.hit_journal import HitJournal
from reku.responses.hits import take_in
from reku.store.locks import Lock, lock_until_commit
from reku.store.tables import hits, responses
from tests.responses.conftest import BROWSER


@pytest.fixture
def journal(bank: Any) -> HitJournal:
    return HitJournal(settings().hit_journals())


def verdicts(engine: sa.Engine) -> list[tuple[str, str | None, str]]:
    with engine.connect() as connection:
        found = connection.execute(sa.select(hits.c.agent, hits.c.verdict, hits.c.rule).order_by(hits.c.id))
        return [tuple(row) for row in found]


def reported(engine: sa.Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(responses).order_by(responses.c.id)))


@pytest.fixture
def scanners(monkeypatch: pytest.MonkeyPatch) -> list[list[Hit]]:
    """Whoever calls himself a scanner is one; returns what was asked about."""
    asked: list[list[Hit]] = []

    def judge(seen: Sequence[Hit], sent_at: datetime | None) -> list[str]:
        assert sent_at is not None
        assert [hit.at for hit in seen] == sorted(hit.at for hit in seen)
        asked.append(list(seen))
        return ["says so" if hit.agent == "scanner" else "" for hit in seen]

    monkeypatch.setattr(judging, "mark_bots", judge)
    return asked


def test_machines_are_marked_kept_and_not_reported(
    journal: HitJournal, sent: Any, database: sa.Engine, scanners: list[list[Hit]]
) -> None:
    message = sent()
    journal.note("OPENED", message, agent="scanner")
    journal.note("CLICKED", message, 1, "person")
    assert take_in(database) == 0
    assert verdicts(database) == [("scanner", "MACHINE", "says so"), ("person", "PERSON", "")]
    (event,) = reported(database)
    assert (event.kind, event.link_number, event.at.microsecond) == ("CLICKED", 1, 0)
    assert event.link_target == "https://www.sparkasse.example/geburtstag"


def test_machines_are_reported_where_that_is_wanted(
    journal: HitJournal, sent: Any, database: sa.Engine, scanners: list[list[Hit]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REKU_REPORT_BOTS", "true")
    settings.cache_clear()
    journal.note("OPENED", sent(), agent="scanner")
    take_in(database)
    assert [row.kind for row in reported(database)] == ["OPENED"]
    assert verdicts(database) == [("scanner", "MACHINE", "says so")]


def test_a_hit_is_judged_once_when_it_has_settled_with_all_that_came_until_then(
    journal: HitJournal,
    sent: Any,
    database: sa.Engine,
    scanners: list[list[Hit]],
    monkeypatch: pytest.MonkeyPatch,
    clock_at: Callable[[datetime], None],
) -> None:
    monkeypatch.setenv("REKU_HIT_SETTLE_SECONDS", "60")
    settings.cache_clear()
    begun, message = clock.now(), sent()
    journal.note("OPENED", message, agent="one")
    assert take_in(database) == 1
    assert (verdicts(database), scanners) == ([("one", None, "")], [])
    clock_at(begun + timedelta(seconds=2))
    journal.note("CLICKED", message, 1, "two")
    clock_at(begun + timedelta(seconds=61))
    assert take_in(database) == 1
    assert [verdict for _, verdict, _ in verdicts(database)] == ["PERSON", None]
    assert [hit.agent for hit in scanners[-1]] == ["one", "two"]
    clock_at(begun + timedelta(seconds=100))
    assert take_in(database) == 0
    assert [hit.agent for hit in scanners[-1]] == ["one", "two"], "what was judged before says what comes after"
    assert take_in(database) == 0
    assert len(scanners) == 2
    assert [row.kind for row in reported(database)] == ["OPENED", "CLICKED"]


def test_each_message_is_judged_by_itself(
    journal: HitJournal, sent: Any, database: sa.Engine, scanners: list[list[Hit]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "MESSAGES", 2)
    messages = [sent(number) for number in range(1, 6)]
    for message in messages * 2:
        journal.note("OPENED", message, agent="person")
    take_in(database)
    assert [len(seen) for seen in scanners] == [2] * 5
    assert {row.message_id for row in reported(database)} == set(messages)


def test_a_click_counts_although_its_bank_has_left(
    journal: HitJournal, sent: Any, database: sa.Engine, bank: Any
) -> None:
    journal.note("CLICKED", sent(), 1, BROWSER)
    for file in (bank / "institutes").iterdir():
        file.unlink()
    take_in(database)
    assert [(row.kind, row.link_target) for row in reported(database)] == [("CLICKED", "")]


@pytest.mark.parametrize(
    ("minutes", "links", "told"),
    [
        ((0, 1, 2, 59), (1, 1, 1, 1), [(0, 1)]),
        ((0, 60, 61), (1, 1, 1), [(0, 1), (60, 1)]),
        ((0, 1, 2), (1, 2, 2), [(0, 1), (1, 2)]),
        ((59, 60), (1, 1), [(59, 1), (60, 1)]),
    ],
)
def test_one_click_of_a_link_and_hour(
    journal: HitJournal,
    sent: Any,
    database: sa.Engine,
    clock_at: Callable[[datetime], None],
    minutes: tuple[int, ...],
    links: tuple[int, ...],
    told: list[tuple[int, int]],
) -> None:
    begun, message = clock.now(), sent()
    for minute, link in zip(minutes, links, strict=True):
        clock_at(begun + timedelta(minutes=minute))
        journal.note("CLICKED", message, link, BROWSER)
        journal.note("OPENED", message, agent=BROWSER)
        take_in(database)
    clicks = [row for row in reported(database) if row.kind == "CLICKED"]
    assert [(round((row.at - begun) / timedelta(minutes=1)), row.link_number) for row in clicks] == told
    assert len(reported(database)) - len(clicks) == len(minutes)


def test_targets_are_looked_up_once_for_many_clicks(
    journal: HitJournal, sent: Any, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(judging, "target_of", lambda *what: asked.append(what) or "https://bank.example/")
    for message in [sent(number) for number in range(1, 6)]:
        for link in (1, 2):
            journal.note("CLICKED", message, link, BROWSER)
    take_in(database)
    assert [what[2] for what in sorted(asked)] == [1, 2]
    assert len(reported(database)) == 10


def test_a_caller_goes_on_after_its_time_and_the_next_one_does_the_rest(
    journal: HitJournal, sent: Any, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "HITS", 3)
    messages = [sent(number) for number in range(1, 4)]
    for message in messages * 2:
        journal.note("OPENED", message, agent="person")
    assert [take_in(database, seconds=0) for _ in range(3)] == [2, 0, 0], "pieces of at least three hits, oldest first"


def test_a_caller_does_not_wait_for_who_judges_already(journal: HitJournal, sent: Any, database: sa.Engine) -> None:
    journal.note("OPENED", sent(), agent="person")
    with database.begin() as connection:
        lock_until_commit(connection, Lock.HITS)
        assert take_in(database, seconds=0) == 1
    assert take_in(database, seconds=0) == 0
