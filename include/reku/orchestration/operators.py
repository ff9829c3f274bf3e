"""The tasks of an occasion DAG. Each waits deferred if it has to, calls one stage, and hands on ids and counts only.

Nothing heavy is imported at the top: Airflow parses with this module every few seconds.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from reku.foundation import clock
from reku.foundation.errors import PassingError, RekuError
from reku.orchestration.reports import ReportLink, write_report_or_warn
from reku.orchestration.triggers import PollTrigger, UntilTrigger

if TYPE_CHECKING:
    import sqlalchemy as sa
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

Counts = dict[str, int | str | None]

ADVICE = (
    "Auftragsbezeichnung im Vertriebsweg EMMA in OSPlus einmal ändern, dann wird die Steuerungsdatei erneut gesendet "
    "(change the order's name once in OSPlus, so that the control file is sent again)."
)
LEASE_MARGIN = timedelta(seconds=1)
"""So much longer than a lost machine's lease a task waits."""
EARLIER_FIRST = timedelta(minutes=30)
"""How long a delivery waits for a lower-numbered one of its order to be loaded."""


def run_day(context: Context) -> date:
    """The calendar day this run is for. Raises AirflowFailException for a day that has not come yet."""
    from reku.process.due_work import day_of

    run = context["dag_run"]
    day = day_of(context["params"].get("day"), run.logical_date, run.run_after)
    if day > clock.today():
        raise AirflowFailException(
            f"The day {day:%d.%m.%Y} has not come yet. Start the run on that day, or for another."
        )
    return day


def end_of_waiting(day: date) -> datetime:
    """Every wait of a run ends by 12:00 of the next day."""
    return clock.at(day + timedelta(days=1), 12)


def collect_bounces(engine: sa.Engine) -> None:
    """Take in what waits in the return mailboxes that are configured."""
    from reku.responses.bounces import collect_all

    collect_all(engine)


def collect_hits(engine: sa.Engine) -> None:
    """Take in what the trackers of this machine have noted, and make events of the opens and clicks of people."""
    from reku.responses.hits import take_in

    take_in(engine)


@contextmanager
def after_collecting(engine: sa.Engine, *collectors: Callable[[sa.Engine], None]) -> Iterator[None]:
    """Take in what has come, then go on; if that failed, the task fails all the same, but only when the rest is done.

    What is known already has to be reported: one broken journal or a mailbox that is away must not hold unsubscribes.
    """
    faults: list[RekuError] = []
    for collect in collectors:
        try:
            collect(engine)
        except RekuError as error:
            faults.append(error)
    yield
    if faults:
        raise faults[0]


def wait(task: BaseOperator, trigger: BaseTrigger) -> NoReturn:
    """Let the task wait without a worker; it goes on in its `resume` with the trigger's event."""
    task.defer(trigger=trigger, method_name="resume")
    raise AssertionError("defer always raises")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Let a task fail with our own sentence, without traceback; what may pass by itself is tried again by Airflow."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except PassingError as error:
        raise AirflowException(str(error)) from None
    except RekuError as error:
        raise AirflowFailException(str(error)) from None
    except DBAPIError as error:
        # its text may quote values of people, so only its kind is shown
        raise AirflowException(
            f"The database refused or lost a statement ({type(error.orig).__name__}). It is tried again; if it stays, "
            "look at the database's log."
        ) from None


class AwaitControlFile(BaseOperator):
    """Passes as soon as any order of the occasion has a processed control file; skips when nobody ordered it."""

    def __init__(self, *, occasion: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.occasion = occasion

    def execute(self, context: Context) -> int:
        from reku.process import conditions

        with plain_errors():
            found = conditions.processed_control_file(self.occasion)
            parked = conditions.parked_deliveries(self.occasion)
        if found:
            return found
        if not parked:
            raise AirflowSkipException(f"Nobody has ordered {self.occasion}.")
        deadline = clock.at(run_day(context), 8)
        self.log.info("%d deliveries are parked and no control file is processed; waiting until 08:00.", parked)
        wait(self, PollTrigger("processed_control_file", {"occasion": self.occasion}, deadline.isoformat()))

    def resume(self, context: Context, event: dict[str, Any]) -> int:  # noqa: ARG002 - Airflow calls it so
        if "deadline" in event:
            raise AirflowFailException(
                f"No control file for {self.occasion}, and deliveries are parked for want of it. {ADVICE}"
            )
        return int(event["found"])


class DueWork(BaseOperator):
    """Lists the work of the day: one item per delivery or expected delivery, ids and names of bank and order only."""

    def __init__(self, *, occasion: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.occasion = occasion

    def execute(self, context: Context) -> list[Counts]:
        from reku.process import due_work
        from reku.store.engine import engine

        day = run_day(context)
        with plain_errors():
            items = due_work.due_items(engine(), self.occasion, day, clock.today())
        self.log.info("%s: %d to do for %s", self.occasion, len(items), f"{day:%d.%m.%Y}")
        return [item.as_xcom() for item in items]


class OwnedDelivery(BaseOperator):
    """Base of the tasks of one delivery: takes it into this run's hands first, or skips the index and says why."""

    def take_up(self, engine: sa.Engine, delivery: int, context: Context) -> None:
        """Own the delivery for this run. Raises AirflowSkipException when another live run has it."""
        from reku.process import due_work

        ti = context["ti"]

        def is_alive(dag: str, run: str) -> bool:
            return bool(ti.get_dr_count(dag_id=dag, run_ids=[run], states=["queued", "running"]))

        owner = due_work.take_up(engine, delivery, ti.dag_id, ti.run_id, is_alive)
        if owner:
            raise AirflowSkipException(f"Delivery {delivery} is in the hands of run {owner}; nothing to do here.")


class AwaitDelivery(OwnedDelivery):
    """Hands on the delivery of its item; waits, deferred, for one that is expected and not there yet."""

    template_fields = ("item",)

    def __init__(self, *, item: Any, **kwargs: Any) -> None:
        super().__init__(map_index_template="{{ task.item['label'] }}", **kwargs)
        self.item = item

    def execute(self, context: Context) -> Counts:
        from reku.process import conditions, due_work
        from reku.store.engine import engine

        day = run_day(context)
        with plain_errors():
            found = self.item["delivery"] or conditions.delivery(self.item["order"], day.isoformat())
            if found:
                return self._handed_on(found, context)
            deadline = min(due_work.expected_until(engine(), self.item["order"], day), end_of_waiting(day))
        self.log.info("expected by %s Berlin time", f"{clock.berlin(deadline):%d.%m.%Y %H:%M}")
        arguments = {"order": self.item["order"], "period_start": day.isoformat()}
        wait(self, PollTrigger("delivery", arguments, deadline.isoformat()))

    def resume(self, context: Context, event: dict[str, Any]) -> Counts:
        from reku.process import due_work
        from reku.store.engine import engine

        with plain_errors():
            if "deadline" in event:
                period = due_work.period_name(engine(), self.item["order"], run_day(context))
                raise AirflowFailException(
                    f"{self.item['label']}: no delivery for {period}. Ask the sender for it. If it comes later after "
                    "all, the next run takes it; nothing has to be cleared."
                )
            return self._handed_on(int(event["found"]), context)

    def _handed_on(self, delivery: int, context: Context) -> Counts:
        from reku.store.engine import engine

        self.take_up(engine(), delivery, context)
        return {"delivery": delivery, "label": self.item["label"]}


class Stage(OwnedDelivery):
    """One stage of one delivery; `delivery` is what `await_delivery` handed on."""

    template_fields = ("delivery",)

    def __init__(self, *, delivery: Any, **kwargs: Any) -> None:
        super().__init__(map_index_template="{{ task.delivery['label'] }}", **kwargs)
        self.delivery = delivery

    def execute(self, context: Context) -> Counts:
        from reku.store.engine import engine

        with plain_errors():
            self.take_up(engine(), self.delivery["delivery"], context)
            return self.work(engine(), self.delivery["delivery"], context)

    def resume(self, context: Context, event: dict[str, Any]) -> Counts:
        """After a wait everything is looked at afresh: the world may have changed meanwhile."""
        if "deadline" in event:
            raise AirflowFailException(self.too_late())
        return self.execute(context)

    def too_late(self) -> str:
        """What to say when the wait ended without what was waited for."""
        return f"{self.delivery['label']}: waited in vain."

    @abstractmethod
    def work(self, engine: sa.Engine, delivery: int, context: Context) -> Counts:
        """Do the stage's work, or pass at once if it is done already; returns counts."""


class Validate(Stage):
    """The quality gate; writes the receipt for rejected rows or for a refused file, and the delivery's report."""

    operator_extra_links = (ReportLink(),)

    def work(self, engine: sa.Engine, delivery: int, context: Context) -> Counts:  # noqa: ARG002 - see Stage
        from reku.gate.gate import validate
        from reku.sources.osplus.rejected import receipt_for_rejects

        result = validate(engine, delivery)
        receipt_for_rejects(engine, delivery)
        write_report_or_warn(engine, delivery)
        if result.refused:
            raise AirflowFailException(
                f"{self.delivery['label']}: refused as a whole ({result.code}: {result.advice}). The receipt names "
                "each bad row. Ask the sender for a corrected file with the same number."
            )
        return {"rows": result.rows, "accepted": result.accepted, "rejected": result.rejected}


class UpsertSubscribers(Stage):
    """Fills the order's list and writes the open messages; deliveries of one order load in number order."""

    def work(self, engine: sa.Engine, delivery: int, context: Context) -> Counts:  # noqa: ARG002 - see Stage
        from reku.foundation.errors import StageError
        from reku.process import due_work
        from reku.sources.osplus.rejected import receipt_for_rejects
        from reku.subscribers.load import load

        earlier = due_work.earlier_not_loaded(engine, delivery)
        if earlier is not None:
            self.log.info("delivery number %06d of the same order comes first; waiting", earlier)
            deadline = clock.now() + EARLIER_FIRST
            wait(self, PollTrigger("earlier_loaded", {"delivery": delivery}, deadline.isoformat()))
        try:
            loaded = load(engine, delivery)
        except StageError:
            receipt_for_rejects(
                engine, delivery
            )  # the order may have ended meanwhile; otherwise it says the same again
            raise
        return {name: count for name, count in dataclasses.asdict(loaded).items() if name != "delivery"}

    def too_late(self) -> str:
        """A lower-numbered delivery of the order did not get loaded."""
        return (
            f"{self.delivery['label']}: an earlier delivery of this order is still not loaded, and they load in number "
            "order. Repair that one first (its own index, or `reku deliveries list`), then clear this task."
        )


class Dispatch(Stage):
    """Waits for the play-out time and hands over what is due on the run's day; waits again for what was put off."""

    def work(self, engine: sa.Engine, delivery: int, context: Context) -> Counts:
        from reku.dispatch import dispatch
        from reku.dispatch.recovery import StillLeased
        from reku.process import due_work, systems

        until, exactly = due_work.handed_over_by(run_day(context), clock.today(), due_work.loaded_at(engine, delivery))
        dispatch.check_dispatchable(engine, delivery)
        due = dispatch.next_due(engine, delivery, until)
        if due and due > clock.now():
            self.log.info("play-out at %s Berlin time", f"{clock.berlin(due):%d.%m.%Y %H:%M}")
            wait(self, UntilTrigger(due.isoformat()))
        collect_bounces(engine)  # the canary is judged by them
        try:
            done = dispatch.dispatch(engine, delivery, systems.channel_named("email"), day=until, due_day=exactly)
        except StillLeased as leased:
            if leased.wait is None:
                raise
            self.log.info(str(leased))
            wait(self, UntilTrigger((clock.now() + leased.wait + LEASE_MARGIN).isoformat()))
        if done.next_try is not None:
            self.go_on_at(done.next_try, done.put_off)
        return dict(done.as_counts())

    def on_kill(self) -> None:
        """Airflow kills a task a few seconds after it has asked it to end: time enough to leave nothing in doubt."""
        from reku.dispatch.shutdown import request_shutdown

        request_shutdown()

    def go_on_at(self, moment: datetime, left: int) -> NoReturn:
        """Wait without a worker for what has to wait, or say that this run does not live that long."""
        shown = f"{clock.berlin(moment):%d.%m.%Y %H:%M}"
        if moment > end_of_waiting(clock.today()):
            raise AirflowFailException(
                f"{self.delivery['label']}: {left} messages are still open and may go out from {shown} Berlin time on, "
                "when the send window opens again. The run of that day takes them; nothing is to be done."
            )
        self.log.info("%d messages have to wait; going on at %s Berlin time", left, shown)
        wait(self, UntilTrigger(moment.isoformat()))


class CollectResponses(Stage):
    """Waits for the occasion's response window after the last mail, then takes in the bounce mails."""

    def __init__(self, *, window: timedelta, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.window = window

    def work(self, engine: sa.Engine, delivery: int, context: Context) -> Counts:
        from reku.foundation.settings import settings
        from reku.process import due_work

        own = settings().response_window_seconds
        window = self.window if own is None else timedelta(seconds=own)
        last = due_work.last_handed_over(engine, delivery)
        until = min(last + window, end_of_waiting(run_day(context))) if last else clock.now()
        if until > clock.now():
            wait(self, UntilTrigger(until.isoformat()))
        collect_bounces(engine)
        collect_hits(engine)
        return dict(due_work.response_counts(engine, delivery))


class ExportFeedback(Stage):
    """Writes the order's new events into a response file; without new events it writes none."""

    def work(self, engine: sa.Engine, delivery: int, context: Context) -> Counts:  # noqa: ARG002 - see Stage
        from reku.process import due_work
        from reku.reporting.export import export

        institute, order = due_work.whose(engine, delivery)
        with after_collecting(engine, collect_hits):
            written = export(engine, institute, order_id=order)
        return {"file": written.number, "rows": written.rows} if written else {"file": None, "rows": 0}


class Report(BaseOperator):
    """Sums up the day's work; a run is green only when everything is done, resolved and adds up."""

    def __init__(self, *, occasion: str, **kwargs: Any) -> None:
        super().__init__(trigger_rule="all_done", **kwargs)
        self.occasion = occasion

    def execute(self, context: Context) -> Counts:
        from reku.process import summary
        from reku.store.engine import engine

        ti = context["ti"]
        day = run_day(context)
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
        items = ti.xcom_pull(task_ids="due_work", run_id=ti.run_id) or []
        with plain_errors():
            found = summary.sum_up(engine(), self.occasion, day, ti.run_id, items, states)
        for line in found.lines:
            self.log.info(line)
        if found.problems:
            raise AirflowFailException("\n".join(["Not green:", *(f"- {problem}" for problem in found.problems)]))
        return found.counts
