"""A bank's broken file stops that bank, in every occasion, and nobody else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation.settings import INCLUDE, settings
from reku.process.answers import Ending
from reku.process.due_work import due_items
from reku.process.stages import STAGES
from reku.process.summary import sum_up
from reku.store.tables import deliveries
from reku_testing import smtp
from reku_testing.bank_files import BANK, OTHER, deliver, order, people
from reku_testing.by_blz import take_in_all
from tests.process.conftest import NOON, Move, Work


@pytest.fixture
def own_institutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our configuration with bank files that a test may break."""
    own = tmp_path / "include"
    own.mkdir()
    for folder in ("occasions", "templates", "contracts", "expectations"):
        (own / folder).symlink_to(INCLUDE / folder)
    shutil.copytree(INCLUDE / "institutes", own / "institutes")
    monkeypatch.setenv("REKU_CONFIG_DIR", str(own))
    settings.cache_clear()
    return own / "institutes"


def test_the_other_bank_is_served_and_the_run_names_file_and_line(
    database: sa.Engine, own_institutes: Path, relay: smtp.Sink, clock_at: Move, work: Work
) -> None:
    clock_at(NOON)
    for bank in (BANK, OTHER):
        order(bank)
        deliver(1, people(2), bank)
    take_in_all(database)
    broken = own_institutes / f"{OTHER}.yaml"
    broken.write_text(broken.read_text(encoding="utf-8").replace("\nstate: ", "\nstaat: "), encoding="utf-8")
    day = work()
    assert [day.ending(stage, 0) for stage in STAGES] == [Ending.DONE] * len(STAGES)
    assert day.ending("validate", 1) is Ending.FAILED
    (told,) = (one.why for one in day.outcomes if one.stage == "report")
    assert f"{OTHER}.yaml:" in told
    assert len(relay.recipients) == 2
    with database.connect() as connection:
        loaded = connection.scalars(sa.select(deliveries.c.institute).where(deliveries.c.state == "LOADED")).all()
    assert loaded == [BANK]


def test_an_expected_delivery_of_a_broken_bank_is_not_forgotten(
    database: sa.Engine, own_institutes: Path, clock_at: Move
) -> None:
    clock_at(NOON)
    order(OTHER)
    take_in_all(database)
    (own_institutes / f"{OTHER}.yaml").write_text("blz: [", encoding="utf-8")
    assert due_items(database, "MCAG002", NOON.date(), NOON.date()) == []
    (problem,) = sum_up(database, "MCAG002", NOON.date(), "a run", [], []).problems
    assert f"{OTHER}.yaml:" in problem
