"""The task that lets a delivery through, or asks a person in Airflow's own pages (Browse → Required Actions).

While it waits it is `awaiting_input` and holds no worker, whatever becomes of scheduler and triggerer. It fails by
itself when the answer is no: after a reject, skip or branch of Airflow's own operators the next tasks of a mapped index
run all the same (apache/airflow 67265). The decision stands in our table, which `dispatch` goes by.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import Param
from airflow.sdk.exceptions import TaskAwaitingInput

from reku.foundation import clock
from reku.orchestration.failures import plain_errors, tell
from reku.orchestration.operators import ReportedStageTask
from reku.orchestration.reports import address, logged_address
from reku.orchestration.triggers import UntilTrigger
from reku.process.answers import Answer, AskPerson, Counts, shown

if TYPE_CHECKING:
    from airflow.sdk import Context

DATABASE_AWAY = timedelta(seconds=30)
"""After so long an answer that our database could not take is recorded again."""


class ReleaseTask(ReportedStageTask):
    """Lets a normal delivery through at once; an unusual one waits for a person until the next morning."""

    def follow(self, answer: Answer, context: Context) -> Counts:
        if isinstance(answer, AskPerson):
            self._ask(answer, context)
        return super().follow(answer, context)

    def _ask(self, asked: AskPerson, context: Context) -> NoReturn:
        from airflow.sdk.execution_time.hitl import upsert_hitl_detail

        from reku.release import question

        note = Param(
            None,
            type=["null", "string"],
            format="multiline",
            title="Begründung / Reason",
            description="Nötig, um abzulehnen. Ohne Personendaten. / Needed to decline. No personal data.",
        )
        until = shown(asked.until)
        upsert_hitl_detail(
            ti_id=context["ti"].id,
            options=[question.APPROVE, question.DECLINE],
            subject=question.subject(asked.label),
            body=question.body(asked.decision, address(asked.decision.delivery), until),
            params={"note": note.serialize()},
        )
        self.log.info("a person is asked until %s Berlin time: %s", until, question.in_short(asked.decision))
        raise TaskAwaitingInput(
            method_name="answered",
            kwargs={"delivery": asked.decision.delivery, "until": asked.until.isoformat()},
            timeout=asked.until - clock.now(),
        )

    def answered(self, context: Context, event: dict[str, Any], delivery: int, until: str) -> Counts:
        """Airflow goes on here with a person's answer about a delivery, or when nobody has answered in time.

        A decline without a reason does not count: it is asked again, until the same moment.
        """
        from reku.process.stages.release import unanswered
        from reku.release import question
        from reku.store.engine import engine

        chosen = event.get("chosen_options") or []
        if "error" in event or len(chosen) != 1:
            with plain_errors():
                return unanswered(engine(), delivery).counts
        note = str((event.get("params_input") or {}).get("note") or "").strip()
        approved = chosen[0] == question.APPROVE
        if not approved and not note:
            tell(
                "Declined without a reason. That does not count: the question is asked again.",
                logging.WARNING,
            )
            return self._again(context, until)
        user = event.get("responded_by_user") or {}
        actor = user.get("name") or user.get("id") or "Airflow"
        return self.carry_out(context, {"delivery": delivery, "approved": approved, "actor": actor, "note": note})

    def _again(self, context: Context, until: str) -> Counts:
        from reku.store.engine import engine

        with plain_errors():
            answer = self.call(engine(), context)
        if isinstance(answer, AskPerson):
            answer = replace(answer, until=datetime.fromisoformat(until))
        return self.follow(answer, context)

    def carry_out(self, context: Context, event: dict[str, Any]) -> Counts:  # noqa: ARG002 - Airflow calls it so
        """Record the answer. If our database is away, keep it and come back: a retry would ask the person again."""
        from sqlalchemy.exc import DBAPIError

        from reku.process.stages.release import answered
        from reku.store.engine import engine

        delivery, approved, actor = event["delivery"], event["approved"], event["actor"]
        note = f"answered in Airflow: {event['note']}".removesuffix(": ")
        with logged_address(lambda: delivery), plain_errors():
            try:
                return answered(engine(), delivery, approved=approved, actor=actor, note=note).counts
            except DBAPIError as error:
                self.log.warning("The database does not take the answer (%s); trying again.", type(error.orig).__name__)
                again = (clock.now() + DATABASE_AWAY).isoformat()
                self.defer(trigger=UntilTrigger(again, event), method_name="carry_out")
                raise  # not reached: a deferral is an exception
