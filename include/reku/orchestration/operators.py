"""The tasks of an occasion DAG: each calls one stage of `process` and does what it answers.

A wait is a deferral, so that a waiting task holds no worker. Nothing heavy is imported at the top: Airflow parses with
this module every few seconds.
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from reku.foundation import clock
from reku.orchestration import assets, triggers
from reku.orchestration.failures import fail, plain_errors, skip, tell
from reku.orchestration.gauges import timed
from reku.orchestration.reports import ReportLink, logged_address
from reku.orchestration.trigger_form import options_of
from reku.orchestration.triggers import PollTrigger, UntilTrigger
from reku.process.answers import Answer, Counts, Done, Ending, Skip, StageOutcome, WaitFor, WaitUntil
from reku.process.stages import stage

if TYPE_CHECKING:
    import sqlalchemy as sa
    from airflow.sdk import Context

    from reku.process.due_work import Item
    from reku.process.ownership import OwningRun
    from reku.process.run_options import RunOptions


def day_of(context: Context) -> date:
    """The calendar day that the task's run is for. Raises StageError for one that has not come yet."""
    from reku.process import days

    run = context["dag_run"]
    return days.day_of(context["params"].get("day"), run.logical_date, run.run_after)


def owner_of(context: Context) -> OwningRun:
    """The task's run, which may have deliveries in hand."""
    from reku.process.ownership import OwningRun

    return OwningRun(context["ti"].dag_id, context["ti"].run_id)


def take_up(engine: sa.Engine, delivery: int, context: Context) -> Skip | None:
    """Take a delivery into the hands of the task's run, or say which other run, alive by Airflow's word, has it."""
    from reku.process import ownership

    def is_alive(owner: OwningRun) -> bool:
        if owner.dag == ownership.OUTSIDE_AIRFLOW:
            return ownership.is_alive_outside_airflow(engine, owner)
        return bool(context["ti"].get_dr_count(dag_id=owner.dag, run_ids=[owner.run], states=["queued", "running"]))

    return ownership.take_up(engine, delivery, owner_of(context), is_alive)


def show_name(label: str) -> None:
    """Give the index of the running task another name at once: Airflow renders it anew only when a task has ended."""
    from airflow.sdk.execution_time.comms import SetRenderedMapIndex
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    SUPERVISOR_COMMS.send(SetRenderedMapIndex(rendered_map_index=label))


class StageOperator(BaseOperator):
    """Base of the tasks whose stage may have to wait; a wait too short for a deferral is slept through."""

    @abstractmethod
    def call(self, engine: sa.Engine, context: Context) -> Answer:
        """Call the stage."""

    def execute(self, context: Context) -> Counts:
        from reku.foundation.settings import settings
        from reku.store.engine import engine

        while True:
            with plain_errors(), timed(self.task_id.rpartition(".")[2]):
                answer = self.call(engine(), context)
            if not isinstance(answer, WaitUntil | WaitFor):
                return self.follow(answer, context)
            left = (answer.moment if isinstance(answer, WaitUntil) else answer.deadline) - clock.now()
            if left > triggers.SHORTEST_WAIT:
                return self.follow(answer, context)
            if isinstance(answer, WaitFor) and answer.in_vain and left <= timedelta():
                fail(answer.in_vain)
            time.sleep(min(max(left.total_seconds(), 0.0), settings().poke_seconds))  # a moved clock may jump

    def resume(self, context: Context, event: dict[str, Any]) -> Counts:
        """After a wait everything is looked at afresh: the world may have changed meanwhile."""
        if event.get("in_vain"):
            fail(event["in_vain"])
        return self.execute(context)

    def follow(self, answer: Answer, context: Context) -> Counts:  # noqa: ARG002 - used by `Release`
        """Do what the stage has answered: end, skip, or wait without a worker and go on in `resume`."""
        match answer:
            case Done():
                return answer.counts
            case Skip():
                skip(answer.why)
            case WaitUntil():
                tell(str(answer), logging.INFO)
                self.defer(trigger=UntilTrigger(answer.moment.isoformat()), method_name="resume")
            case WaitFor():
                tell(str(answer), logging.INFO)
                if answer.label:
                    show_name(answer.label)
                self.defer(
                    trigger=PollTrigger(
                        answer.condition, answer.arguments, answer.deadline.isoformat(), answer.in_vain
                    ),
                    method_name="resume",
                )
        raise TypeError(f"{type(self).__name__} cannot follow {answer!r}")


class AwaitControlFile(StageOperator):
    """Passes as soon as somebody has ordered the occasion, by control file or campaign; skips when nobody has."""

    def __init__(self, *, occasion: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.occasion = occasion

    def call(self, engine: sa.Engine, context: Context) -> Answer:
        from reku.process.stages.await_control_file import await_control_file

        if options_of(context).dry_run:
            return Done({"dry_run": "yes"})
        return await_control_file(engine, self.occasion, day_of(context))


class DueWork(BaseOperator):
    """Lists the work of the day: one item per delivery or expected delivery, ids and names of bank and order only."""

    def __init__(self, *, occasion: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.occasion = occasion

    def execute(self, context: Context) -> list[Counts]:
        from reku.process.due_work import due_items
        from reku.store.engine import engine

        with plain_errors():
            day, options = day_of(context), options_of(context)
            if options.dry_run:
                return self.try_out(day, options)
            items = due_items(engine(), self.occasion, day, clock.today(), options=options)
        self.log.info("%s: %d to do for %s", self.occasion, len(items), f"{day:%d.%m.%Y}")
        return [item.as_xcom() for item in items]

    def try_out(self, day: date, options: RunOptions) -> list[Counts]:
        """Tell what would become of each item, and hand on none: the run ends here."""
        from reku.process.dry_run import dry_run
        from reku.store.engine import engine

        tried = dry_run(engine(), self.occasion, day, options=options)
        tell(f"Dry run for {day:%d.%m.%Y}: nothing is sent and nothing kept of it.", logging.INFO)
        tell("\n".join(map(str, tried)) or "Nothing would be done.", logging.INFO)
        return []


class AwaitDelivery(StageOperator):
    """Hands on the delivery of its item, taken into the run's hands; waits for one that is not there yet."""

    template_fields = ("item",)

    def __init__(self, *, item: Any, **kwargs: Any) -> None:
        super().__init__(map_index_template="{{ task.item['label'] }}", **kwargs)
        self.item = item

    def call(self, engine: sa.Engine, context: Context) -> Answer:
        from reku.process.due_work import Item
        from reku.process.stages.await_delivery import await_delivery

        answer = await_delivery(engine, Item(**self.item), day_of(context))
        if isinstance(answer, Done):
            self.item = self.item | {"label": answer.counts["label"]}
            return take_up(engine, int(str(answer.counts["delivery"])), context) or answer
        return answer


class StageTask(StageOperator):
    """One stage of one delivery: that which `await_delivery` handed on, or the corrected one in its place."""

    template_fields = ("delivery",)

    def __init__(self, *, stage: str, delivery: Any, **kwargs: Any) -> None:
        super().__init__(map_index_template="{{ task.delivery['label'] }}", **kwargs)
        self.stage, self.delivery = stage, delivery

    def call(self, engine: sa.Engine, context: Context) -> Answer:
        from reku.process.refused import corrected_one

        delivery = corrected_one(engine, self.delivery["delivery"])
        self.delivery = self.delivery | {"delivery": delivery}  # for its report, too
        return take_up(engine, delivery, context) or stage(self.stage)(engine, delivery, day_of(context))


class ReportedStageTask(StageTask):
    """A stage after which the delivery has a new report, one click away."""

    operator_extra_links = (ReportLink(),)

    def execute(self, context: Context) -> Counts:
        with logged_address(lambda: self.delivery["delivery"]):
            return super().execute(context)


class DispatchTask(StageTask):
    """Hands over mails, and ends cleanly when it is killed. Its success is an event of the order's asset."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(outlets=[assets.ORDERS], **kwargs)

    def execute(self, context: Context) -> Counts:
        from reku.process.banks import order_of
        from reku.store.engine import engine

        counts = super().execute(context)
        of = order_of(engine(), self.delivery["delivery"])
        about = {"delivery": of.delivery_number} | {name: count for name, count in counts.items() if count is not None}
        assets.announce(context, assets.ORDERS, assets.order_asset(of.institute, of.order), about)
        return counts

    def call(self, engine: sa.Engine, context: Context) -> Answer:
        from reku.process.stages.dispatch import allow_late

        if options_of(context).late:
            late = allow_late(engine, self.delivery["delivery"], day_of(context), context["run_id"])
            self.log.info("%d messages are past their window and go out all the same", late)
        return super().call(engine, context)

    def on_kill(self) -> None:
        """Airflow kills a task a few seconds after it has asked it to end: time enough to leave nothing in doubt."""
        from reku.dispatch.shutdown import request_shutdown

        request_shutdown()


class ExportFeedbackTask(StageTask):
    """Writes the order's response file, if there is something to be told; a file is an event of the bank's asset."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(outlets=[assets.RESPONSE_FILES], **kwargs)

    def execute(self, context: Context) -> Counts:
        from reku.process.banks import order_of
        from reku.store.engine import engine

        counts = super().execute(context)
        announce_file(context, order_of(engine(), self.delivery["delivery"]).institute, counts)
        return counts


def announce_file(context: Context, institute: str, counts: Counts) -> None:
    """Let a response file that was written (its number stands in the counts) be an event."""
    if counts.get("file") is not None:
        about = {"file": counts["file"], "rows": counts["rows"]}
        assets.announce(context, assets.RESPONSE_FILES, assets.response_files_asset(institute), about)


class Report(BaseOperator):
    """Sums up the day's work; a run is green only when everything is done, resolved and adds up."""

    def __init__(self, *, occasion: str, **kwargs: Any) -> None:
        super().__init__(trigger_rule="all_done", **kwargs)
        self.occasion = occasion

    def execute(self, context: Context) -> Counts:
        from reku.process.due_work import Item
        from reku.process.stages.report import report
        from reku.store.engine import engine

        with plain_errors():
            if options_of(context).dry_run:
                tell("This was a dry run; the log of `due_work` has what it found.", logging.INFO)
                return {}
        ti = context["ti"]
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
        items = [Item(**item) for item in ti.xcom_pull(task_ids="due_work", run_id=ti.run_id) or []]
        with plain_errors():
            day, owner = day_of(context), owner_of(context)
            return report(engine(), self.occasion, day, owner, items, outcomes(items, states)).counts


def outcomes(items: list[Item], states: Mapping[str, str]) -> list[StageOutcome]:
    """The stages that failed or were skipped, from the state of each task (`<task id>_<index>` of a mapped one).

    A task whose predecessor failed is left out: that one is named.
    """
    found = []
    for task, state in sorted(states.items()):
        if state not in (Ending.FAILED, Ending.SKIPPED) or task == "report":
            continue
        name, _, index = task.rpartition("_")
        mapped = "." in task and index.isdigit() and int(index) < len(items)
        stage_name = name.partition(".")[2] if mapped else task
        found.append(StageOutcome(stage_name, Ending(state), int(index) if mapped else None))
    return found
