"""The task that lets a delivery through, or asks a person in Airflow's own pages (Browse → Required Actions).

While it waits it is `awaiting_input` and holds no worker, whatever becomes of scheduler and triggerer. It fails by
itself when the answer is no: after a reject, skip or branch of Airflow's own operators the next tasks of a mapped index
run all the same (apache/airflow 67265). The decision stands in our table, which `dispatch` goes by.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from reku.foundation import clock
from reku.orchestration.operators import Counts, Stage, plain_errors
from reku.orchestration.reports import ReportLink, address, write_report_or_warn
from reku.orchestration.triggers import UntilTrigger

if TYPE_CHECKING:
    import sqlalchemy as sa
    from airflow.sdk import Context

    from reku.release.decision import ReleaseDecision

APPROVE, DECLINE = "Approve", "Decline"
ANSWER_BY = 8
"""Hour of the next morning, Berlin time, at which waiting for an answer ends."""
DATABASE_AWAY = timedelta(seconds=30)
"""After so long an answer that our database could not take is recorded again."""


class Release(Stage):
    """Lets a normal delivery through at once; an unusual one waits for a person until the next morning."""

    operator_extra_links = (ReportLink(),)

    def work(self, engine: sa.Engine, delivery: int, context: Context) -> Counts:
        from reku.release.decision import decide_release

        verdict = decide_release(engine, delivery)
        write_report_or_warn(engine, delivery)
        if verdict.decision is None:
            self._ask(verdict, context)
        return {"decision": str(verdict.decision)}

    def answered(self, context: Context, event: dict[str, Any]) -> Counts:
        """Airflow goes on here with a person's answer, or when nobody has answered in time."""
        chosen = event.get("chosen_options") or []
        if "error" in event or len(chosen) != 1:
            return self._unanswered()
        user = event.get("responded_by_user") or {}
        actor = user.get("name") or user.get("id") or "Airflow"
        return self.carry_out(context, {"approved": chosen[0] == APPROVE, "actor": actor})

    def carry_out(self, context: Context, event: dict[str, Any]) -> Counts:  # noqa: ARG002 - Airflow calls it so
        """Record the answer. If our database is away, keep it and come back: a retry would ask the person again."""
        from sqlalchemy.exc import DBAPIError

        from reku.process.decline import decline
        from reku.release.decision import approve
        from reku.store.engine import engine

        delivery, note = self.delivery["delivery"], "answered in Airflow"
        approved, actor = event["approved"], event["actor"]
        with plain_errors():
            try:
                if approved:
                    decision = approve(engine(), delivery, actor=actor, note=note)
                else:
                    decline(engine(), delivery, actor=actor, note=note)
            except DBAPIError as error:
                self.log.warning("The database does not take the answer (%s); trying again.", type(error.orig).__name__)
                again = (clock.now() + DATABASE_AWAY).isoformat()
                self.defer(trigger=UntilTrigger(again, event), method_name="carry_out")
        write_report_or_warn(engine(), delivery)
        if approved:
            return {"decision": str(decision)}
        raise AirflowFailException(
            f"{self.delivery['label']}: declined by a person. Nothing of it is mailed; the daily feedback reports all"
            " its rows as not sent (FREIGABE_VERWEIGERT). If these people shall be written to after all, ask the"
            " sender for a delivery with a new number."
        )

    def _ask(self, verdict: ReleaseDecision, context: Context) -> NoReturn:
        from airflow.sdk.execution_time.hitl import upsert_hitl_detail

        from reku.release import question

        deadline = answer_by(clock.now())
        until = f"{clock.berlin(deadline):%d.%m.%Y %H:%M}"
        upsert_hitl_detail(
            ti_id=context["ti"].id,
            options=[APPROVE, DECLINE],
            subject=question.subject(self.delivery["label"]),
            body=question.body(verdict, address(verdict.delivery), until),
            params={},  # None, the default, is refused by the server
        )
        self.log.info("a person is asked until %s Berlin time: %s", until, question.in_short(verdict))
        raise TaskAwaitingInput(method_name="answered", timeout=deadline - clock.now())

    def _unanswered(self) -> Counts:
        """It may have been decided by `reku deliveries` meanwhile, or be normal by now."""
        from reku.release.decision import decide_release
        from reku.store.engine import engine

        with plain_errors():
            verdict = decide_release(engine(), self.delivery["delivery"])
        if verdict.decision is None:
            raise AirflowFailException(
                f"{self.delivery['label']}: nobody has approved or declined it in time, so nothing of it is mailed."
                " Clear this task to be asked again, or use `reku deliveries approve` or `decline"
                f" {verdict.delivery} --note …` and clear it then."
            )
        return {"decision": str(verdict.decision)}


def answer_by(moment: datetime) -> datetime:
    """Until when a person who is asked at that moment may answer: 08:00 of the next calendar day in Berlin."""
    return clock.at(clock.berlin(moment).date() + timedelta(days=1), ANSWER_BY)
