"""The parse benchmark measures what it says: the peer has the shape of our DAGs, and both are really parsed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reku.bench import parse
from reku.cli import app
from reku_testing import airflow_home  # before Airflow: sets its home


@pytest.mark.airflow
def test_a_bare_dag_has_the_tasks_of_an_occasions(tmp_path: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    from reku.catalogue import occasions
    from reku.orchestration.factory import occasion_dag

    assert airflow_home.HOME.is_dir()
    (tmp_path / "bare.py").write_text(parse._BARE, encoding="utf-8")
    bag = DagBag(tmp_path)
    assert bag.import_errors == {}
    assert len(bag.dags) == parse.BARE_DAGS
    ours, bare = occasion_dag(occasions()["MCAG002"], {}), bag.dags["bare_00"]
    assert len(bare.tasks) == len(ours.tasks)
    assert [len(dag.task_group.children) for dag in (bare, ours)] == [4, 4]
    assert type(bare.task_group.children["delivery"]) is type(ours.task_group.children["delivery"])
    assert type(bare.timetable) is type(ours.timetable)


@pytest.mark.processes
def test_one_object_per_line_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = parse.measure
    monkeypatch.setattr(parse, "measure", lambda rounds: measure(1) | {"rounds": rounds})  # five take a minute
    done = CliRunner().invoke(app, ["bench", "parse", "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert found.pop("ratio") > 0
    assert found == {
        "stage": "parse",
        "what": f"{found['rows']} DAGs",
        "against": "60 bare generated DAGs",
        "at_least": 0.5,
        "rounds": 5,
        "rows": found["rows"],
    }
    assert found["rows"] >= 58


def test_what_cannot_be_parsed_is_named(tmp_path: Path) -> None:
    from reku.foundation.errors import SetupError

    (tmp_path / "broken.py").write_text("from airflow.sdk import DAG\nDAG(1/0)\n", encoding="utf-8")
    with pytest.raises(SetupError, match=r"broken\.py: ZeroDivisionError"):
        parse._once(tmp_path / "airflow", tmp_path)
