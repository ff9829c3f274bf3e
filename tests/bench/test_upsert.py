"""The loading benchmark measures what it says: both sides take the same rows, and a tenth of the people changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from reku.bench import upsert
from reku.bench.world import World
from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku.store.tables import messages, subscribers

PEOPLE = 40


@pytest.fixture
def race(bench_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[upsert.Race]:
    for name, value in bench_world.environment.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    made = upsert.Race(bench_world, PEOPLE)
    yield made
    with made.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS reku.peer"))
    made.engine.dispose()


def _count(race: upsert.Race, table: sa.FromClause) -> int:
    with race.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


@pytest.mark.parametrize("psql", [True, False])
def test_the_peer_takes_the_rows_of_the_delivery(
    race: upsert.Race, psql: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not psql:
        monkeypatch.setattr(upsert.shutil, "which", lambda _name: None)
    elif upsert.shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    assert race.peer(2) > 0
    with race.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT * FROM reku.peer")).mappings().all()
    assert [dict(row) for row in rows] == [upsert.person(number, 2) for number in range(PEOPLE)]


def test_the_list_is_filled_and_changed(race: upsert.Race) -> None:
    assert race.fill(1, PEOPLE) > 0
    assert race.fill(2, PEOPLE // 10) > 0
    assert (_count(race, subscribers), _count(race, messages)) == (PEOPLE, 0)
    race.empty()
    assert race.load(1) > 0
    assert (_count(race, subscribers), _count(race, messages)) == (PEOPLE, PEOPLE)
    race.empty()
    assert race.copy_of_the_gate(1) > 0
    assert race.fill(1, PEOPLE) > 0


def test_what_changes_another_number_of_people_is_no_measure(race: upsert.Race) -> None:
    with pytest.raises(SetupError, match="40 instead of 4 people"):
        race.fill(1, 4)


@pytest.mark.processes
def test_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upsert, "PEOPLE", 100)
    figures = upsert.measure(1)
    assert [(figure["at_least"], figure["rounds"], figure["rows"]) for figure in figures] == [
        (0.35, 1, 100),
        (0.25, 1, 100),
        (None, 1, 100),
        (None, 1, 100),
    ]
    assert all(figure["stage"] == "upsert" and figure["ratio"] > 0 for figure in figures)
