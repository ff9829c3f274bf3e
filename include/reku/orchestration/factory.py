"""One occasion in, one DAG out. Parsing touches no database, no network and nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, MultipleCronTriggerTimetable, chain, task, task_group

from reku.catalogue.occasion import Occasion
from reku.foundation import clock
from reku.foundation.errors import ConfigError
from reku.orchestration import names, trigger_form
from reku.orchestration.approval import ReleaseTask
from reku.orchestration.docs import broken_doc, occasion_doc
from reku.orchestration.failure_notes import note_failure, note_success
from reku.orchestration.failures import RETRY_POLICY, fail
from reku.orchestration.names import dag_id, named, start_minute
from reku.orchestration.operators import (
    AwaitControlFile,
    AwaitDelivery,
    DispatchTask,
    DueWork,
    ExportFeedbackTask,
    Report,
    ReportedStageTask,
    StageTask,
)
from reku.process.stages import STAGES

OWNER = "reku-operations"
START = datetime(2026, 1, 1, tzinfo=clock.BERLIN)
ZONE = "Europe/Berlin"
DEFAULT_ARGS = {
    "owner": OWNER,
    # What may pass by itself (a relay that drops, a dispatcher still running) is tried twice more; the rest fails.
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "retry_policy": RETRY_POLICY,
    "on_failure_callback": note_failure,
    "on_success_callback": note_success,
    "on_skipped_callback": note_success,
}
TASKS: dict[str, type[StageTask]] = {
    "validate": ReportedStageTask,
    "release": ReleaseTask,
    "dispatch": DispatchTask,
    "export_feedback": ExportFeedbackTask,
}
"""Stages whose task is more than the call of the stage."""


def schedule(code: str) -> CronTriggerTimetable | MultipleCronTriggerTimetable | None:
    """Once each calendar day after 03:00 in Berlin: that hour exists once on every day of the year.

    The minute is spread, see `start_minute`. Where the clock is moved (demo) there is no schedule: Airflow knows only
    the real time, and two times in one place would start runs for the wrong days.
    """
    return system_schedule(f"{start_minute(code)} 3 * * *")


def system_schedule(*crons: str) -> CronTriggerTimetable | MultipleCronTriggerTimetable | None:
    """Whenever one of `crons` says so, in Berlin time; never where the clock is moved, see `schedule`."""
    if clock.is_moved():
        return None
    if len(crons) == 1:
        return CronTriggerTimetable(crons[0], timezone=ZONE)
    return MultipleCronTriggerTimetable(*crons, timezone=ZONE)


def system_dag(name: str, *crons: str, title: str, doc: str, longest: timedelta, runs: int = 1) -> DAG:
    """A system DAG to be filled with tasks, begun by `crons`: at most `runs` at once, each ended after `longest`."""
    return DAG(
        name,
        dag_display_name=title,
        doc_md=doc,
        schedule=system_schedule(*crons),
        start_date=START,
        catchup=False,
        max_active_runs=runs,
        dagrun_timeout=longest,
        default_args=DEFAULT_ARGS,
        tags=["reku", "kind:system"],
        is_paused_upon_creation=False,
    )


def occasion_dag(occasion: Occasion, banks: Mapping[str, str]) -> DAG:
    """The DAG of one occasion: control file → due work → one mapped group per delivery → report.

    `banks`: name of each bank by its BLZ, for the form with which a run is started by hand.
    """
    code = occasion.code
    with DAG(
        dag_id(code),
        dag_display_name=f"{code} {occasion.title}",
        description=occasion.title,
        doc_md=occasion_doc(occasion),
        schedule=schedule(code),
        start_date=START,
        catchup=False,
        max_active_runs=8,
        dagrun_timeout=timedelta(hours=40),
        default_args=DEFAULT_ARGS,
        tags=["reku", "kind:occasion", f"family:{occasion.family}", *(f"provider:{p}" for p in occasion.providers)],
        is_paused_upon_creation=False,  # an occasion that nobody unpaused would be mail silently not sent
    ) as dag:
        control_file = AwaitControlFile(**named("await_control_file"), occasion=code)
        due_work = DueWork(**named("due_work"), occasion=code)

        @task_group(group_id="delivery", group_display_name="Lieferung")
        def delivery(item: Any) -> Any:
            awaited = AwaitDelivery(**named("await_delivery"), item=item)
            tasks = [
                TASKS.get(stage, StageTask)(**named(stage), stage=stage, delivery=awaited.output) for stage in STAGES
            ]
            chain(awaited, *tasks)
            return tasks[-1]  # what comes after the group hangs on the task returned, so it must be the last one

        report = Report(**named("report"), occasion=code)
        control_file >> due_work >> delivery.expand(item=due_work.output) >> report
    # not before: each task would copy the whole form, and Airflow would check it in each parse
    dag.params.update(trigger_form.fields(banks))
    return dag


def broken_dag(code: str, faults: Iterable[ConfigError]) -> DAG:
    """A DAG for an occasion whose file cannot be read: it fails each day and says why, instead of vanishing."""
    texts = [str(fault) for fault in faults]
    with DAG(
        dag_id(code),
        dag_display_name=f"{code} – Konfiguration fehlerhaft",
        doc_md=broken_doc(texts),
        schedule=schedule(code),
        start_date=START,
        catchup=False,
        default_args=DEFAULT_ARGS | {"retries": 0},
        tags=["reku", "kind:occasion", "broken"],
        is_paused_upon_creation=False,
    ) as dag:

        @task(task_display_name=names.TASKS["configuration"])
        def configuration() -> None:
            fail("\n".join(texts))

        configuration()
    return dag
