"""`reku rhythms` finds Airflow's tables beside ours; what it does with them: tests/orchestration/test_day_runs.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.cli.database import database as asked
from reku.cli.database import join_airflow
from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku.runtime.home import Home
from reku.runtime.up import AIRFLOW_URL
from tests.cli.conftest import Reku


@pytest.fixture
def beside(database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A set-up runs in this checkout, and only it knows where the databases are."""
    given = {"REKU_DATABASE_URL": os.environ["REKU_DATABASE_URL"], AIRFLOW_URL: "postgresql+psycopg2://airflow"}
    for name in given:
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)
    monkeypatch.setattr("reku.cli.database._running", lambda: Home(tmp_path))
    monkeypatch.setattr("reku.runtime.up.environment", lambda _home: given | {"REKU_INSTANCE": "x"})
    settings.cache_clear()


@pytest.mark.parametrize("ours_first", [True, False])
def test_airflows_tables_are_found_whichever_is_asked_first(beside: None, ours_first: bool) -> None:
    for ask in (asked, join_airflow) if ours_first else (join_airflow, asked):
        ask()
    assert os.environ[AIRFLOW_URL] == "postgresql+psycopg2://airflow"
    assert "REKU_INSTANCE" not in os.environ


def test_our_database_alone_is_not_enough(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(AIRFLOW_URL, raising=False)
    with pytest.raises(SetupError, match="docker compose exec scheduler"):
        join_airflow()


def test_a_moved_clock_has_no_backfills(reku: Reku, database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reku.foundation.clock.is_moved", lambda: True)
    done = reku("rhythms", "make-up")
    assert done.exit_code == 1
    assert "Trigger the DAG with the day" in done.stderr
