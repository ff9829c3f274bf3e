"""Missed days are found in Airflow's own tables, and made up for by its own backfill: exactly those days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.process.missed_rhythms import MissedRhythm, RunOfDay
from reku_testing import airflow_home

pytestmark = pytest.mark.airflow

CODE, DAG = "MCAG002", "reku_mcag002"


@pytest.fixture
def dag(airflow_metadata: None, database: sa.Engine) -> Iterator[str]:
    """The DAG of an occasion with its real schedule, as Airflow has it in its tables, and no run of it."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG, SerializedDAG
    from airflow.utils.session import create_session

    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
    with create_session() as session:
        lazy = LazyDeserializedDAG.from_dag(airflow_home.shipped_dags().dags[DAG])
        SerializedDAG.bulk_write_to_db("dags-folder", None, [lazy], session=session)
        SerializedDagModel.write_dag(lazy, bundle_name="dags-folder", session=session)
    _forget_runs()
    yield DAG
    _forget_runs()


def _forget_runs() -> None:
    """Those of earlier tests, which share Airflow's tables, and those of this one."""
    from airflow.models.backfill import Backfill, BackfillDagRun
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        session.execute(sa.delete(BackfillDagRun))
        session.execute(sa.delete(DagRun).where(DagRun.dag_id == DAG))
        session.execute(sa.delete(Backfill))


def _run(back: int, state: str, **values: Any) -> None:
    """A run of the day so many days ago, as the schedule makes it, unless `values` say otherwise."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    moment = clock.at(clock.today() - timedelta(days=back), 3, 11)
    told = {"logical_date": moment, "run_type": DagRunType.SCHEDULED} | values
    with create_session() as session:
        run = DagRun(dag_id=DAG, run_id=f"{back}-{state}-{len(values)}", run_after=moment, state=state, **told)
        session.add(run)


def test_the_best_run_of_a_day_counts(dag: str) -> None:
    from airflow.utils.session import create_session

    from reku.orchestration.day_runs import runs_of_days

    _run(1, "failed")
    _run(1, "success", logical_date=None, run_type="manual", conf={"day": _back(2).isoformat()})
    _run(2, "failed")
    _run(3, "success", logical_date=None, run_type="manual", conf={"dry_run": True})
    _run(4, "success", logical_date=None, run_type="manual", conf={"banks": ["99990001"]})
    _run(5, "running", logical_date=None, run_type="manual")
    with create_session() as session:
        found = runs_of_days(session, [CODE], _back(9))
    assert found == {
        (CODE, _back(1)): RunOfDay.FAILED,
        (CODE, _back(2)): RunOfDay.DONE,
        (CODE, _back(5)): RunOfDay.AT_WORK,
    }


def _back(days: int) -> date:
    return clock.today() - timedelta(days=days)


def _missed(back: int) -> MissedRhythm:
    return MissedRhythm(_back(back), CODE, "99990001", "Bank", "R0000101", "Order", RunOfDay.NONE, "")


def test_a_backfill_does_exactly_the_missed_days(dag: str) -> None:
    """Two windows with a day between them, one after the other; the failed run of a day is run again."""
    from airflow.models.backfill import Backfill
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    from reku.orchestration.day_runs import make_up, start_backfill

    _run(3, "failed")
    said: list[str] = []
    at_once: list[list[date]] = []

    def airflow_works() -> None:
        """In place of a scheduler: the runs in hand end, the last day's badly."""
        with create_session() as session:
            runs = session.scalars(sa.select(DagRun).where(DagRun.state == "queued", DagRun.backfill_id.is_not(None)))
            in_hand = sorted((clock.berlin(run.logical_date).date(), run) for run in runs)
            for day, run in in_hand:
                run.set_state("failed" if day == _back(1) else "success")
            session.execute(sa.update(Backfill).values(completed_at=datetime.now(UTC)))
            assert set(session.scalars(sa.select(Backfill.max_active_runs))) == {1}
        at_once.append([day for day, _ in in_hand])

    failed = make_up([_missed(back) for back in (1, 3, 4)], {"late": True}, said.append, airflow_works)
    assert at_once == [[_back(4), _back(3)], [_back(1)]]
    assert failed == 1
    assert said[1] == f"{CODE}: 2 of 2 runs ended, 0 failed"
    assert said[-1] == f"{CODE}: 1 of 1 runs ended, 1 failed"
    with create_session() as session:
        confs = session.scalars(sa.select(DagRun.conf).where(DagRun.backfill_id.is_not(None))).all()
        assert confs == [{"late": True}] * 3
        session.execute(sa.update(Backfill).values(completed_at=None))
    with pytest.raises(StageError, match="Another backfill is running for Dag reku_mcag002"):
        start_backfill(CODE, _back(1), _back(1), {})
