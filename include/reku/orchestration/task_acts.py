"""Acts that concern Airflow's tasks: a failed one is tried again, and one that waits for an answer gets it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
from airflow.api_fastapi.core_api.datamodels.task_instances import ClearTaskInstancesBody
from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
from airflow.api_fastapi.core_api.routes.public.task_instances import post_clear_task_instances
from airflow.models.dagbag import DBDagBag
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.state import TaskInstanceState
from fastapi import HTTPException
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from reku.foundation.errors import StageError
from reku.foundation.words import Words
from reku.orchestration.failed_tasks import FailedTask, failed_tasks, log_path
from reku.orchestration.names import TASKS
from reku.orchestration.pages.rights import Rights, visible_dags
from reku.process.acts import ACTS
from reku.process.acts.act import Act, Concern, record_act
from reku.process.acts.on_deliveries import concern_of_delivery
from reku.process.banks import label_of
from reku.process.decline import declined_of
from reku.release import question
from reku.views.delivery_overview import delivery_details

AGAIN, AGAIN_BUTTON = "try-again", Words("Noch einmal versuchen", "Try again")
AGAIN_ALL, AGAIN_ALL_BUTTON = "try-all-again", Words("Alle noch einmal versuchen", "Try all of them again")
ALL_TASKS = "all"
"""The subject of trying all failed tasks again; else it is the name of a task."""
_RELEASE, _AWAIT = "delivery.release", "delivery.await_delivery"
_GONE = Words(
    "Dieser Versuch wurde schon zurückgesetzt: der Task läuft noch einmal, oder er ist es schon.",
    "This try has been cleared already: the task runs again, or has done so.",
)


def acts_of(session: Session, user: BaseUser) -> Mapping[str, Act]:
    """All acts by their name in addresses; those that concern tasks are done with this session of Airflow's tables."""
    answers = {"approve": question.APPROVE, "decline": question.DECLINE}
    answering = {
        name: replace(ACTS[name], do=partial(_decide, session, user, ACTS[name], chosen))
        for name, chosen in answers.items()
    }
    again = Act(
        AGAIN_BUTTON,
        Words(
            "Der Task und was ihm folgt laufen noch einmal. Niemandem wird zweimal geschrieben.",
            "The task and what follows it run again. Nobody is written to twice.",
        ),
        partial(_look_at_task, session),
        partial(_try_again, session, user),
        needs_reason=False,
    )
    all_again = Act(
        AGAIN_ALL_BUTTON,
        again.effect,
        partial(_look_at_all, session, user),
        partial(_try_all_again, session, user),
    )
    return {**ACTS, **answering, AGAIN: again, AGAIN_ALL: all_again}


def deliveries_of(session: Session, tasks: Iterable[FailedTask]) -> dict[str, int]:
    """The delivery that each of these failed tasks is about, by the task's id, as far as one is known."""
    rows = session.execute(
        select(TaskInstance.id, XComModel.value)
        .join(
            XComModel,
            (XComModel.dag_id == TaskInstance.dag_id)
            & (XComModel.run_id == TaskInstance.run_id)
            & (XComModel.map_index == TaskInstance.map_index),
        )
        .where(
            TaskInstance.id.in_([UUID(task.id) for task in tasks]),
            TaskInstance.map_index >= 0,
            XComModel.task_id == _AWAIT,
            XComModel.key == "return_value",
        )
    )
    found = {str(id_): _delivery_in(value) for id_, value in rows}
    return {id_: delivery for id_, delivery in found.items() if delivery is not None}


@dataclass(frozen=True)
class TaskOfDelivery:
    """A task that worked on a delivery: its name, the path of its log, and whether it asks a person just now."""

    name: str
    path: str
    is_question: bool


def tasks_of_delivery(session: Session, dag: str, run: str, label: str) -> list[TaskOfDelivery]:
    """The tasks of the index that bears the delivery's label, in the order in which they began."""
    of = TaskInstance
    rows = session.execute(
        select(of.task_id, of.map_index, of.state, of.start_date)
        .where(of.dag_id == dag, of.run_id == run, of.rendered_map_index == label, of.start_date.is_not(None))
        .order_by(of.start_date)
    )
    return [
        TaskOfDelivery(
            TASKS.get(row.task_id.rpartition(".")[2], row.task_id),
            log_path(dag, run, row.task_id, row.map_index),
            row.state == TaskInstanceState.AWAITING_INPUT,
        )
        for row in rows
    ]


def undecided(session: Session, engine: Engine, tasks: Sequence[FailedTask]) -> list[FailedTask]:
    """The failed tasks without those of deliveries that a person has declined: nobody has to do anything there."""
    about = deliveries_of(session, tasks)
    declined = declined_of(engine, set(about.values()))
    return [task for task in tasks if about.get(task.id) not in declined]


def dag_of_task(session: Session, subject: str) -> str | None:
    """The DAG of a try of a task, whatever became of it; None if there is no such try any more."""
    task = _task(session, subject)
    return task.dag_id if task else None


def _task(session: Session, subject: str) -> TaskInstance | None:
    """The task with that try, locked until the session commits; what was cleared has another one."""
    try:
        wanted = UUID(subject)
    except ValueError:
        return None
    return session.scalar(select(TaskInstance).where(TaskInstance.id == wanted).with_for_update(of=TaskInstance))


def _look_at_task(session: Session, engine: Engine, subject: str) -> Concern:
    task = _task(session, subject)
    if task is None or task.state != TaskInstanceState.FAILED:
        return Concern(over=_GONE)
    delivery = _delivery_of(session, task)
    what = f"{task.rendered_map_index or ''} {task.task_id.rpartition('.')[2]}".strip()
    if delivery is None:
        return Concern(what=what)
    return replace(concern_of_delivery(engine, delivery), what=what)


def _delivery_of(session: Session, task: TaskInstance) -> int | None:
    """The delivery that `await_delivery` handed on to the task's index; None before that, and of other tasks."""
    if task.map_index < 0 or not task.task_id.startswith("delivery."):
        return None
    found = session.scalar(
        select(XComModel.value).where(
            XComModel.dag_id == task.dag_id,
            XComModel.run_id == task.run_id,
            XComModel.task_id == _AWAIT,
            XComModel.map_index == task.map_index,
            XComModel.key == "return_value",
        )
    )
    return _delivery_in(found)


def _delivery_in(found: Any) -> int | None:
    """The delivery in what `await_delivery` has handed on."""
    handed_on = json.loads(found) if isinstance(found, str) else found
    delivery = handed_on.get("delivery") if isinstance(handed_on, dict) else None
    return delivery if isinstance(delivery, int) else None


def _try_again(session: Session, user: BaseUser, engine: Engine, subject: str, actor: str, note: str) -> Words:
    task = _task(session, subject)
    if task is None:
        return _GONE
    delivery = _delivery_of(session, task)
    institute = concern_of_delivery(engine, delivery).institute if delivery else ""
    name = f"{task.dag_id} {task.run_id} {task.task_id} {task.map_index}"
    clear(session, user, task)
    record_act(engine, institute, actor=actor, action="try again", subject=name, note=note)
    session.commit()
    return Words("Zurückgesetzt: der Task läuft gleich noch einmal.", "Cleared: the task runs again in a moment.")


def _all_failed(session: Session, user: BaseUser, engine: Engine, subject: str) -> list[FailedTask]:
    """Failed tasks that this person may clear, of that name or all."""
    allowed, rights = visible_dags(user), Rights(user)
    failed = [task for task in failed_tasks(session, allowed) if subject in (ALL_TASKS, task.task)]
    return [task for task in undecided(session, engine, failed) if rights.may_act(task.dag)]


def _look_at_all(session: Session, user: BaseUser, engine: Engine, subject: str) -> Concern:
    counts = Counter(task.task for task in _all_failed(session, user, engine, subject))
    if not counts:
        return Concern(over=Words("Keiner davon ist noch fehlgeschlagen.", "None of them is failed any more."))
    return Concern(what=", ".join(f"{count} × {name}" for name, count in counts.items()))


def _try_all_again(session: Session, user: BaseUser, engine: Engine, subject: str, actor: str, note: str) -> Words:
    cleared, at_work = 0, 0
    for failed in _all_failed(session, user, engine, subject):
        task = _task(session, failed.id)
        if task is None or task.state != TaskInstanceState.FAILED:
            continue  # followed from one that has just been cleared, or somebody else was faster
        name = f"{task.dag_id} {task.run_id} {task.task_id} {task.map_index}"
        try:
            clear(session, user, task)
        except StageError:
            session.rollback()
            at_work += 1
            continue
        record_act(engine, "", actor=actor, action="try again", subject=name, note=note)
        session.commit()
        cleared += 1
    return Words(
        f"Zurückgesetzt: {cleared}. Noch bei der Arbeit, also nicht: {at_work}.",
        f"Cleared: {cleared}. Still at work, and so left alone: {at_work}.",
    )


def clear(session: Session, user: BaseUser, task: TaskInstance) -> None:
    """Clear a task's index and what follows it. Raises StageError if one of those is at work."""
    one: str | tuple[str, int] = (task.task_id, task.map_index) if task.map_index >= 0 else task.task_id
    body = ClearTaskInstancesBody(
        dry_run=False,
        dag_run_id=task.run_id,
        task_ids=[one],
        include_downstream=True,
        only_failed=False,
        prevent_running_task=True,
    )
    try:
        post_clear_task_instances(task.dag_id, DBDagBag(), body, session, user)
    except HTTPException as error:
        raise StageError(f"Airflow did not clear the task: {error.detail}") from None


def _decide(
    session: Session, user: BaseUser, act: Act, chosen: str, engine: Engine, subject: str, actor: str, note: str
) -> Words:
    """Record the decision, which holds; then let the task that asks for it go on with the same answer."""
    said = act.do(engine, subject, actor, note)
    delivery = delivery_details(engine, int(subject))
    task = session.scalar(
        select(TaskInstance).where(
            TaskInstance.dag_id == delivery.owner_dag,
            TaskInstance.run_id == delivery.owner_run,
            TaskInstance.task_id == _RELEASE,
            TaskInstance.rendered_map_index == label_of(engine, delivery.id),
        )
    )
    if task is None:
        return said
    if task.state == TaskInstanceState.AWAITING_INPUT:
        answer = UpdateHITLDetailPayload(chosen_options=[chosen], params_input={"note": note})
        try:
            update_hitl_detail(task.dag_id, task.run_id, task.task_id, answer, user, session, task.map_index)
        except HTTPException:  # answered in Airflow this very moment: the task goes on by that, and the first one holds
            session.rollback()
    elif task.state == TaskInstanceState.FAILED and chosen == question.APPROVE:
        clear(session, user, task)
    session.commit()
    return said
