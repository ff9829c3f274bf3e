"""Failed tasks of our DAGs: what Airflow's own home page hides in runs that are still blue, or of yesterday."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

import sqlalchemy as sa
from airflow.models.taskinstance import TaskInstance
from airflow.utils.state import TaskInstanceState
from sqlalchemy.orm import Session, aliased

from reku.process.failed_work import NAMED_DAYS


@dataclass(frozen=True)
class FailedTask:
    """A task that failed. `label`: bank, order and delivery of a mapped one; `log`: path of its log on the server.

    `id` is that of its try: once it is cleared, there is none of it.
    """

    id: str
    dag: str
    run: str
    task: str
    label: str
    since: datetime | None
    log: str


def failed_tasks(session: Session, dags: Collection[str]) -> list[FailedTask]:
    """The failed tasks of these DAGs, oldest first, without those that the same task of a later run has made good.

    What only follows from another task's failure is left out, and so is `report` where a task before it failed: it says
    the same again.
    """
    ti, later = TaskInstance, aliased(TaskInstance)
    label = sa.func.coalesce(ti.rendered_map_index, "")
    made_good = sa.exists().where(
        later.dag_id == ti.dag_id,
        later.task_id == ti.task_id,
        sa.func.coalesce(later.rendered_map_index, "") == label,
        later.state == TaskInstanceState.SUCCESS,
        later.start_date > ti.end_date,
    )
    statement = (
        sa.select(ti.id, ti.dag_id, ti.run_id, ti.task_id, ti.map_index, label.label("label"), ti.end_date)
        .where(
            ti.dag_id.in_(dags),
            ti.state == TaskInstanceState.FAILED,
            ti.end_date >= sa.func.now() - timedelta(days=NAMED_DAYS),
            ~made_good,
        )
        .order_by(ti.end_date)
    )
    rows = session.execute(statement).all()
    with_others = {(row.dag_id, row.run_id) for row in rows if row.task_id != "report"}
    return [
        FailedTask(
            str(row.id),
            row.dag_id,
            row.run_id,
            row.task_id.rpartition(".")[2],
            row.label,
            row.end_date,
            log_path(row.dag_id, row.run_id, row.task_id, row.map_index),
        )
        for row in rows
        if row.task_id != "report" or (row.dag_id, row.run_id) not in with_others
    ]


def log_path(dag: str, run: str, task: str, index: int) -> str:
    """Where a task's log is on Airflow's server; `index` below 0: it is not mapped."""
    mapped = f"/mapped/{index}" if index >= 0 else ""
    return f"/dags/{dag}/runs/{quote(run, safe='')}/tasks/{task}{mapped}"
