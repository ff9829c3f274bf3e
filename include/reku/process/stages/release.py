"""A normal delivery goes on by itself; about an unusual one a person is asked until the next morning."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.process import decline
from reku.process.answers import Answer, AskPerson, Done
from reku.process.banks import label_of
from reku.release.decision import approve, decide_release
from reku.release.report import write_report_or_warn

ANSWER_BY = 8
"""Hour of the next morning, Berlin time, at which waiting for an answer ends."""


def carry_out(engine: sa.Engine, delivery: int, day: date) -> Answer:  # noqa: ARG001 - see Stage
    """Let the delivery through, or ask a person. Raises StageError if it was declined or refused."""
    verdict = decide_release(engine, delivery)
    write_report_or_warn(engine, delivery)
    if verdict.decision is None:
        return AskPerson(verdict, label_of(engine, delivery), answer_by(clock.now()))
    return Done({"decision": str(verdict.decision)})


def answered(engine: sa.Engine, delivery: int, *, approved: bool, actor: str, note: str) -> Done:
    """Record a person's answer; of several the first one holds. Raises StageError if the delivery is declined by it."""
    if approved:
        decision = approve(engine, delivery, actor=actor, note=note)
        write_report_or_warn(engine, delivery)
        return Done({"decision": str(decision)})
    decline.decline(engine, delivery, actor=actor, note=note)
    write_report_or_warn(engine, delivery)
    raise StageError(
        f"{label_of(engine, delivery)}: declined by a person. Nothing of it is mailed; the daily feedback reports all"
        " its rows as not sent (FREIGABE_VERWEIGERT). If these people shall be written to after all, ask the"
        " sender for a delivery with a new number."
    )


def unanswered(engine: sa.Engine, delivery: int) -> Done:
    """The time for an answer is over: raises StageError, unless it was decided elsewhere or is normal by now."""
    verdict = decide_release(engine, delivery)
    if verdict.decision is None:
        raise StageError(
            f"{label_of(engine, delivery)}: nobody has approved or declined it in time, so nothing of it is mailed."
            " Clear this task to be asked again, or use `reku deliveries approve` or `decline"
            f" {delivery} --note …` and clear it then."
        )
    return Done({"decision": str(verdict.decision)})


def answer_by(moment: datetime) -> datetime:
    """Until when a person who is asked at that moment may answer: 08:00 of the next calendar day in Berlin."""
    return clock.at(clock.berlin(moment).date() + timedelta(days=1), ANSWER_BY)
