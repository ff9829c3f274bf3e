"""A bank's broken file stops that bank, in every occasion, and nobody else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation.settings import INCLUDE, settings
from reku.process import due_work
from reku.sources.osplus.scan import take_in_all
from reku.store.tables import deliveries
from reku_testing import smtp
from tests.orchestration.test_chain import BANK, DAG, NOON, OTHER, Move, Run, deliver, order, people, states_of

pytestmark = pytest.mark.airflow


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
    database: sa.Engine, own_institutes: Path, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    clock_at(NOON)
    for bank in (BANK, OTHER):
        order(bank)
        deliver(1, people(2), bank)
    take_in_all(database)
    broken = own_institutes / f"{OTHER}.yaml"
    broken.write_text(broken.read_text(encoding="utf-8").replace("\nstate: ", "\nstaat: "), encoding="utf-8")
    run = run_dag(DAG, day="2026-11-24")
    states = states_of(run)
    assert states["due_work"] == "success"
    assert [states[f"delivery.{task}[0]"] for task in ("validate", "dispatch", "export_feedback")] == ["success"] * 3
    assert states["delivery.validate[1]"] == "failed"
    assert run.state == "failed"
    assert len(relay.recipients) == 2
    with database.connect() as connection:
        loaded = connection.scalars(sa.select(deliveries.c.institute).where(deliveries.c.state == "LOADED")).all()
    assert loaded == [BANK]


def test_an_expected_delivery_of_a_broken_bank_is_not_forgotten(
    database: sa.Engine, own_institutes: Path, clock_at: Move
) -> None:
    from reku.process.summary import sum_up

    clock_at(NOON)
    order(OTHER)
    take_in_all(database)
    (own_institutes / f"{OTHER}.yaml").write_text("blz: [", encoding="utf-8")
    assert due_work.due_items(database, "MCAG002", NOON.date(), NOON.date()) == []
    (problem,) = sum_up(database, "MCAG002", NOON.date(), "a run", [], {}).problems
    assert f"{OTHER}.yaml:" in problem
