"""What is due of a delivery is handed over: at the play-out time, and again when what had to wait may go out."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import sqlalchemy as sa

from reku.dispatch import canary, dispatch
from reku.dispatch.late import send_although_late
from reku.dispatch.ledger import Due
from reku.dispatch.progress import DispatchResult
from reku.dispatch.recovery import StillLeased
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.process.answers import Answer, Done, WaitUntil, shown
from reku.process.banks import label_of
from reku.process.collecting import wait_for_return_mails
from reku.process.days import end_of_waiting, handed_over_by
from reku.process.systems import channels_of
from reku.store.tables import deliveries

LEASE_MARGIN = timedelta(seconds=1)
"""So much longer than a lost machine's lease it is waited."""


def carry_out(engine: sa.Engine, delivery: int, day: date) -> Answer:
    """Hand over the messages that a run of that day answers for.

    Raises StageError when the rest may go out only on a day that this run does not live to see, and whatever
    `reku.dispatch.dispatch` raises.
    """
    until, exactly = handed_over_by(day, clock.today(), loaded_at(engine, delivery))
    dispatch.check_dispatchable(engine, delivery)
    due = dispatch.next_due(engine, delivery, until)
    if due and due > clock.now():
        return WaitUntil(due, "play-out time")
    judged_from = canary.judged_from(engine, delivery)
    if judged_from is not None and judged_from <= clock.now():
        wait = wait_for_return_mails(engine, judged_from, "the canary")
        if wait is not None:
            return wait
    try:
        done = _dispatch_all(engine, delivery, until, exactly)
    except StillLeased as leased:
        if leased.wait is None:
            raise
        return WaitUntil(clock.now() + leased.wait + LEASE_MARGIN, str(leased))
    if done.next_try is None:
        return Done(dict(done.as_counts()))
    if done.next_try > end_of_waiting(clock.today()):
        raise StageError(
            f"{label_of(engine, delivery)}: {done.put_off} messages are still open and may go out from "
            f"{shown(done.next_try)} Berlin time on, when the send window opens again. The run of that day takes them; "
            "nothing is to be done."
        )
    why = f": {done.why_later}" if done.why_later else ""
    return WaitUntil(done.next_try, f"{done.put_off} messages have to wait{why}")


def _dispatch_all(engine: sa.Engine, delivery: int, until: date, exactly: date | None) -> DispatchResult:
    """Hand over on one channel after the other."""
    whole = DispatchResult()
    for channel in channels_of(engine, delivery):
        done = dispatch.dispatch(engine, delivery, channel, day=until, due_day=exactly)
        whole.add(done.as_counts())
        whole.why_later = whole.why_later or done.why_later
        if done.next_try is not None:
            whole.try_again_at(done.next_try)
    return whole


def allow_late(engine: sa.Engine, delivery: int, day: date, run: str) -> int:
    """Let a run's messages go out whose window has passed, because a person asked for it; returns how many."""
    until, exactly = handed_over_by(day, clock.today(), loaded_at(engine, delivery))
    return send_although_late(engine, Due(delivery, until, exactly), actor="Airflow", note=f"asked for by run {run}")


def loaded_at(engine: sa.Engine, delivery: int) -> datetime | None:
    """When the delivery was loaded; None if it was not yet."""
    with engine.connect() as connection:
        found: datetime | None = connection.scalar(sa.select(deliveries.c.loaded_at).where(deliveries.c.id == delivery))
        return found
