"""Mails that are taken badly, and what has not been collected, are on the list of what needs a person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.process.needs import NeedKind, needs
from reku.store.kinds import EventKind
from reku.store.tables import collections
from reku.views.day_figures import EventCount
from reku_testing import banks, world

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon(clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock_at(NOON)
    banks.configure(monkeypatch, tmp_path / "config")


@pytest.mark.parametrize(
    ("sent", "hard", "complaints", "subject"),
    [
        (1000, 19, 0, None),
        (1000, 20, 0, world.BLZ),
        (1000, 49, 0, world.BLZ),
        (1000, 50, 0, f"{world.BLZ} grave"),
        (100, 4, 0, None),
        (100, 5, 0, f"{world.BLZ} grave"),
        (500, 0, 1, None),
        (2001, 0, 2, None),
        (2000, 0, 2, world.BLZ),
        (1000, 0, 3, f"{world.BLZ} grave"),
        (0, 5, 0, f"{world.BLZ} grave"),
    ],
)
def test_limits_of_bounces_and_complaints(
    database: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    sent: int,
    hard: int,
    complaints: int,
    subject: str | None,
) -> None:
    counts = {EventKind.SENT: sent, EventKind.BOUNCED_HARD: hard, EventKind.COMPLAINED: complaints}
    happened = [EventCount(world.BLZ, kind, "", count) for kind, count in counts.items()]
    asked: list[datetime] = []

    def events(_connection: sa.Connection, moment: datetime) -> list[EventCount]:
        asked.append(moment)
        return happened

    monkeypatch.setattr("reku.process.reputation.events_since", events)
    found = needs(database)
    assert [need.subject for need in found] == ([subject] if subject else [])
    assert asked == [datetime(2026, 11, 23, 23, tzinfo=UTC)], "since midnight in Berlin"
    for need in found:
        assert (need.kind, need.kind.weight, need.people) == (NeedKind.TAKEN_BADLY, "high", hard + complaints)
        assert f"Of {sent} mails today {hard} came back" in need.said.what.english
        assert ("Stop at once" in need.said.cure.english) is (subject == f"{world.BLZ} grave")


def test_what_has_not_been_collected_for_an_hour(database: sa.Engine) -> None:
    looked = {"return_mails": NOON - timedelta(minutes=61), "hits": NOON - timedelta(minutes=59)}
    with database.begin() as connection:
        rows = [{"source": source, "complete_at": moment} for source, moment in looked.items()]
        connection.execute(sa.insert(collections), rows)
    (need,) = needs(database)
    assert (need.kind, need.subject, need.since) == (NeedKind.NOT_COLLECTED, "return_mails", looked["return_mails"])
