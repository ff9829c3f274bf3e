"""The import benchmark measures what it says: two days are taken in whole, and the peer has the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.bench import data_import
from reku.bench.world import World
from reku.foundation.settings import settings
from reku.runtime.home import SECRETS
from reku.store.tables import holdings, person_addresses, persons

PEOPLE = 100


@pytest.fixture
def race(bench_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[data_import.Race]:
    data_import.add_bank(Path(bench_world.environment["REKU_CONFIG_DIR"]))
    keys = {name: SECRETS[name]() for name in ("REKU_PSEUDONYM_KEYS", "REKU_VAULT_KEYS")}
    for name, value in (bench_world.environment | keys).items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    made = data_import.Race(bench_world, PEOPLE)
    yield made
    made.engine.dispose()


def _count(race: data_import.Race, table: sa.Table) -> int:
    with race.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_both_days_are_taken_in_and_the_peer_has_the_rows_of_the_first(race: data_import.Race) -> None:
    assert race.first_day() > 0
    first = [_count(race, table) for table in (persons, person_addresses, holdings)]
    assert first == [PEOPLE, PEOPLE, PEOPLE * data_import.HOLDINGS]
    race.keep_rows()
    with race.engine.connect() as connection:
        before = set(connection.scalars(sa.select(person_addresses.c.recipient_key)))
    assert race.next_day() > 0
    with race.engine.connect() as connection:
        after = set(connection.scalars(sa.select(person_addresses.c.recipient_key)))
    assert len(after - before) == PEOPLE // data_import.CHANGED_EVERY
    assert race.day_after_noon() > 0
    assert _count(race, person_addresses) == PEOPLE
    assert race.peer() > 0
    assert [_count(race, table) for table in (persons, person_addresses, holdings)] == first


def test_a_process_of_its_own_takes_in_the_first_day(race: data_import.Race) -> None:
    measured = race.alone()
    assert measured["seconds"] > 0
    assert 10_000_000 < measured["peak"] < data_import.MEMORY
    assert [_count(race, table) for table in (persons, holdings)] == [PEOPLE, PEOPLE * data_import.HOLDINGS]
