"""The selection benchmark measures what it says: both sides select the same number of people, for every occasion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reku.bench import data_import, selection
from reku.bench.world import World
from reku.foundation.settings import settings
from reku.runtime.home import SECRETS


@pytest.fixture
def race(bench_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[selection.SelectionRace]:
    data_import.add_bank(Path(bench_world.environment["REKU_CONFIG_DIR"]), selection.campaigns())
    keys = {name: SECRETS[name]() for name in ("REKU_PSEUDONYM_KEYS", "REKU_VAULT_KEYS")}
    for name, value in (bench_world.environment | keys).items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    imported = data_import.Race(bench_world, 300)
    made = selection.SelectionRace(imported)
    yield made
    made.engine.dispose()
    imported.engine.dispose()


def test_both_sides_select_the_same_number_of_people_again_and_again(race: selection.SelectionRace) -> None:
    """`by_hand` raises an error where an occasion's numbers differ."""
    assert len(selection.BY_HAND) == 20
    for _ in range(2):
        assert race.select() > 0
        assert race.by_hand() > 0
        assert race.decide() > 0
    assert race.rows > 20
