"""What Airflow calls when a task has ended: failures are put on record, so that people are told of them.

Each task has these (`factory.DEFAULT_ARGS`). Nothing heavy is imported at the top: Airflow parses with this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context


def note_failure(context: Context) -> None:
    """The task has failed for good."""
    from reku.process.failed_work import FailedWork, note_failed
    from reku.store.engine import engine

    task: Any = context["task"]
    of = _item(task)
    note_failed(
        engine(),
        FailedWork(
            task.dag_id,
            task.task_id,
            _label(task),
            getattr(task, "institute", None),
            of.get("order"),
            _occasion(task.dag_id),
        ),
        of.get("delivery"),
    )


def note_success(context: Context) -> None:
    """The task has come through, or there was nothing to be done for it."""
    from reku.process.failed_work import note_made_good
    from reku.store.engine import engine

    task: Any = context["task"]
    note_made_good(engine(), task.dag_id, task.task_id, _label(task))


def _item(task: Any) -> Mapping[str, Any]:
    """What a mapped task is about; before it was rendered there is nothing of it."""
    item = getattr(task, "delivery", None) or getattr(task, "item", None)
    return item if isinstance(item, Mapping) else {}


def _label(task: Any) -> str:
    """What the task is about, the same in each run."""
    return str(_item(task).get("label") or getattr(task, "institute", "") or "")


def _occasion(dag: str) -> str:
    """The occasion of a DAG; empty for one of the system."""
    from reku.catalogue import occasions

    code = dag.partition("_")[2].upper()
    return code if code in occasions() else ""
