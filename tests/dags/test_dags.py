from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from reku.catalogue.import_rules import LAST_LOOK
from reku.foundation import clock
from reku.foundation.settings import settings
from reku_testing import airflow_home  # before Airflow: sets its home
from tests.conftest import PROJECT

pytestmark = pytest.mark.airflow

SYSTEM_DAGS = {
    "reku_collect",
    "reku_emma",
    "reku_intake",
    "reku_feedback",
    "reku_housekeeping",
    "reku_agree21_files",
    "reku_agree21_import",
    "reku_alarms",
}
CODES = sorted(file.stem for file in (PROJECT / "include" / "occasions").glob("*.yaml"))
GROUP = [
    "delivery.await_delivery",
    "delivery.validate",
    "delivery.release",
    "delivery.upsert_subscribers",
    "delivery.dispatch",
    "delivery.collect_responses",
    "delivery.export_feedback",
]


@pytest.fixture(scope="module")
def bag() -> Any:
    return airflow_home.shipped_dags()


@pytest.fixture(scope="module")
def timetables(bag: Any) -> list[Any]:
    """Those of the DAGs of occasions, as the scheduler knows them."""
    from airflow.serialization.serialized_objects import DagSerialization

    return [DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable for dag in _occasion_dags(bag).values()]


def _occasion_dags(bag: Any) -> dict[str, Any]:
    return {dag_id: dag for dag_id, dag in bag.dags.items() if "kind:occasion" in dag.tags}


def test_exactly_one_dag_per_occasion_file(bag: Any) -> None:
    assert bag.import_errors == {}
    assert len(CODES) == 56
    assert set(_occasion_dags(bag)) == {f"reku_{code.lower()}" for code in CODES}
    assert set(bag.dags) - set(_occasion_dags(bag)) == SYSTEM_DAGS


def test_every_dag_file_is_accounted_for() -> None:
    assert {file.name for file in (PROJECT / "dags").glob("*.py")} == {
        *("occasions.py", "collect.py", "intake.py", "feedback.py", "housekeeping.py", "agree21_import.py"),
        "agree21_files.py",
        "emma.py",
        "alarms.py",
    }


def test_chain_reads_as_the_process(bag: Any) -> None:
    for dag in _occasion_dags(bag).values():
        assert set(dag.task_ids) == {"await_control_file", "due_work", *GROUP, "report"}
        follows = {task.task_id: task.downstream_task_ids for task in dag.tasks}
        assert follows["await_control_file"] == {"due_work"}
        assert follows["due_work"] >= {GROUP[0]}
        for task, following in pairwise(GROUP):
            assert following in follows[task]
        assert follows[GROUP[-1]] == {"report"}


def test_policy_of_every_dag(bag: Any) -> None:
    from reku.orchestration.factory import DEFAULT_ARGS, OWNER
    from reku.orchestration.names import TASKS

    for dag in bag.dags.values():
        assert dag.doc_md, dag.dag_id
        assert dag.dag_display_name != dag.dag_id
        assert dag.catchup is False
        assert "reku" in dag.tags
        assert len([tag for tag in dag.tags if tag.startswith("kind:")]) == 1
        assert dag.is_paused_upon_creation is False
        for task in dag.tasks:
            assert task.owner == OWNER
            assert task.task_display_name == TASKS[task.task_id.rpartition(".")[2]]
            assert task.retries == DEFAULT_ARGS["retries"]
            assert task.depends_on_past is False


def test_policy_of_occasion_dags(bag: Any) -> None:
    for dag in _occasion_dags(bag).values():
        assert dag.max_active_runs == 8
        assert dag.dagrun_timeout == timedelta(hours=40)
        assert [tag for tag in dag.tags if tag.startswith("family:")]
        assert "Is it safe to clear?" in dag.doc_md
        assert "When it fails" in dag.doc_md
        assert dag.get_task("report").trigger_rule == "all_done"
    assert "provider:S-Com" in bag.dags["reku_mcag002"].tags
    assert bag.dags["reku_mcag002"].dag_display_name == "MCAG002 Runde Geburtstage"


@pytest.mark.parametrize(
    ("first", "days"), [(datetime(2026, 3, 27, tzinfo=UTC), 4), (datetime(2026, 10, 23, tzinfo=UTC), 4)]
)
def test_runs_once_on_each_day_across_clock_changes(timetables: list[Any], first: datetime, days: int) -> None:
    """Also that the Berlin date of a run is its UTC date, so that a backfill window means what it says."""
    from airflow.timetables.base import TimeRestriction

    for timetable in timetables:
        restriction = TimeRestriction(earliest=first, latest=None, catchup=True)
        last, seen = None, []
        for _ in range(days):
            info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
            last = info.data_interval
            seen.append(info.logical_date)
        assert [clock.berlin(moment).date() for moment in seen] == [
            first.date() + timedelta(days=offset) for offset in range(days)
        ]
        assert all(clock.berlin(moment).hour == 3 and clock.berlin(moment).minute < 45 for moment in seen)
        assert [moment.date() for moment in seen] == [clock.berlin(moment).date() for moment in seen]


def test_data_of_banks_are_looked_for_every_ten_minutes_of_the_morning(bag: Any) -> None:
    """From half past three; the last look is when the addresses leave."""
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import TimeRestriction

    dag = bag.dags["reku_agree21_import"]
    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    restriction = TimeRestriction(earliest=datetime(2026, 11, 22, 23, tzinfo=UTC), latest=None, catchup=True)
    last, seen = None, []
    for _ in range(53):
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        last = info.data_interval
        seen.append(clock.berlin(info.logical_date))
    first, noon = clock.at(date(2026, 11, 23), 3, 30), clock.at(date(2026, 11, 23), LAST_LOOK.hour, LAST_LOOK.minute)
    assert seen[:52] == [first + timedelta(minutes=10 * number) for number in range(52)]
    assert seen[51:] == [noon, first + timedelta(days=1)]


def test_minutes_are_spread(bag: Any) -> None:
    assert len({dag.timetable.expression for dag in _occasion_dags(bag).values()}) > 20


@pytest.fixture
def own_occasions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A configuration whose occasions can be changed."""
    include = tmp_path / "include"
    (include / "occasions").mkdir(parents=True)
    for code in CODES:
        (include / "occasions" / f"{code}.yaml").write_bytes((PROJECT / f"include/occasions/{code}.yaml").read_bytes())
    monkeypatch.setenv("REKU_CONFIG_DIR", str(include))
    settings.cache_clear()
    yield include / "occasions"
    settings.cache_clear()


def test_one_broken_occasion_is_red_and_the_others_run(own_occasions: Path) -> None:
    (own_occasions / "MCAG002.yaml").write_text("code: MCAG002\ntitel: Runde Geburtstage\n", encoding="utf-8")
    bag = airflow_home.read_dags()
    assert bag.import_errors == {}
    assert len(_occasion_dags(bag)) == 56
    broken = bag.dags["reku_mcag002"]
    assert "broken" in broken.tags
    assert "MCAG002.yaml" in broken.doc_md
    assert broken.task_ids == ["configuration"]
    assert [dag_id for dag_id, dag in bag.dags.items() if "broken" in dag.tags] == ["reku_mcag002"]


def test_a_banks_own_occasion_is_one_more_file(own_occasions: Path) -> None:
    text = (own_occasions / "MCAG002.yaml").read_text(encoding="utf-8").replace("MCAG002", "VEREINSJUBILAEUM")
    (own_occasions / "VEREINSJUBILAEUM.yaml").write_text(text, encoding="utf-8")
    bag = airflow_home.read_dags()
    assert len(_occasion_dags(bag)) == 57
    assert "reku_vereinsjubilaeum" in bag.dags


def test_no_schedule_where_the_clock_is_moved(clock_at: Any) -> None:
    clock_at(datetime(2026, 11, 24, tzinfo=UTC))
    bag = airflow_home.read_dags()
    assert {type(dag.timetable).__name__ for dag in bag.dags.values()} == {"NullTimetable"}


def test_parsing_imports_nothing_heavy() -> None:
    """Airflow parses every few seconds: no database driver, gate, frame or mail compiler may be loaded by it."""
    program = (
        "import runpy, sys; import airflow.sdk; before = set(sys.modules)\n"
        "for name in ('occasions', 'intake', 'feedback', 'housekeeping'): runpy.run_path(f'dags/{name}.py')\n"
        "print(' '.join(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "reku" in loaded
    heavy = {"great_expectations", "matplotlib", "pandas", "mjml", "psycopg", "starlette", "email_validator"}
    assert loaded & heavy == set()
    assert "reku.store" not in done.stdout.split()
