"""Dispatch: hand over what is due of one delivery, each message at most once, and say what became of each."""

from __future__ import annotations

import logging
import time
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from reku.dispatch import canary, doubt, ledger, stops
from reku.dispatch.control_copy import send_control_copy
from reku.dispatch.ledger import Due
from reku.dispatch.lock import delivery_lock, passing_database_errors
from reku.dispatch.plan import CampaignFault, SendPlan, send_plan
from reku.dispatch.progress import Dispatched, Progress
from reku.dispatch.serve import Work, compiled_media, serve
from reku.dispatch.window import send_window
from reku.dispatch.workers import dispatch_by_workers
from reku.foundation import clock
from reku.foundation.errors import PassingError, StageError
from reku.foundation.settings import settings
from reku.store.states import DeliveryState
from reku.store.tables import deliveries, messages

log = logging.getLogger(__name__)

SHORT_WAIT = timedelta(seconds=10)
"""A wait up to this long is waited for; for a longer one the task gives its worker back (`Dispatched.next_try`)."""


def next_due(engine: sa.Engine, delivery: int, day: date) -> datetime | None:
    """The moment of the latest play-out among the delivery's open messages due up to that day, or None."""
    with engine.connect() as connection:
        latest: datetime | None = connection.scalar(
            sa.select(sa.func.max(messages.c.due_at)).where(Due(delivery, day).condition())
        )
        return latest


def check_dispatchable(engine: sa.Engine, delivery: int) -> SendPlan:
    """Refuse a delivery that is not loaded or not released, or whose campaign cannot send. Raises StageError.

    With a faulty campaign the messages stay open, but for those that no mended campaign could send any more: the order
    has ended (then nobody mends it), or their window has passed.
    """
    with engine.connect() as connection:
        row = connection.execute(
            sa.select(deliveries.c.state, deliveries.c.released_at).where(deliveries.c.id == delivery)
        ).one_or_none()
        if row is None:
            raise StageError(f"There is no delivery {delivery}.")
        if row.state == DeliveryState.DECLINED:
            raise StageError(f"Delivery {delivery} was declined by a person: it is not mailed, now or later.")
        if row.state != DeliveryState.LOADED or row.released_at is None:
            raise StageError(
                f"Delivery {delivery} is {row.state} and {'not ' if row.released_at is None else ''}released: it is "
                "not mailed. Clear the failed task before `dispatch` instead."
            )
        try:
            return send_plan(connection, delivery)
        except CampaignFault:
            ledger.withhold_ended(engine, delivery)
            raise


def dispatch(engine: sa.Engine, delivery: int, *, day: date, due_day: date | None = None) -> Dispatched:
    """Hand over every open message of the delivery that is due up to `day` (or exactly on `due_day`).

    Ends early, with `next_try` in the answer, when what is left has to wait: for the send window, for the server that
    put it off, for the canary. Raises CampaignFault and StageError before anything is sent; StillRunning and
    StillLeased when another dispatcher is at it; Stopped, SessionError, LockLost, DatabaseLost and StageError with
    everything not handed over still open.
    """
    plan = check_dispatchable(engine, delivery)
    media = compiled_media(plan)
    due = Due(delivery, day, due_day)
    window = send_window(plan, clock.now())
    done = Dispatched()
    with passing_database_errors(delivery), delivery_lock(engine, delivery) as lock:
        done.in_doubt += lock.recovered.in_doubt
        doubt.resend(engine, delivery, plan)
        ledger.end_put_off(engine, due, window.opens)
        if clock.now() < window.opens:
            done.put_off = ledger.count_due(engine, due)
            done.next_try = window.opens if done.put_off else None
            return done
        with engine.connect() as connection:
            stops.check_stops(connection, plan.institute.blz, plan.order_number)
        if ledger.count_due(engine, due):
            send_control_copy(engine, plan, media, delivery)
        _until_done(Work(engine, plan, media, due, window.closes, lock.session), done)
        done.put_off = ledger.count_due(engine, due)
    return done


def _until_done(work: Work, done: Dispatched) -> None:
    """Hand over until nothing is left that may go out now or in a moment."""
    progress = Progress(work.due.delivery, ledger.count_due(work.engine, work.due))
    ended = -1
    while True:
        leave = canary.allowance(work.engine, work.plan, work.due.delivery)
        if leave.wait_until is None:
            _hand_over(work, leave.quota, done, progress)
        wait = ledger.next_try(work.engine, work.due)
        if wait is None and doubt.resend(work.engine, work.due.delivery, work.plan):
            continue
        if wait is None:
            break
        if leave.wait_until is not None:
            done.next_try = leave.wait_until
            break
        until = min(clock.now() + wait, work.until)
        if until - clock.now() > SHORT_WAIT or until == work.until:
            done.next_try = until
            break
        before, ended = ended, done.handed_over + done.withheld + done.put_off + done.in_doubt
        if ended == before and wait <= timedelta():
            raise PassingError(
                f"Delivery {work.due.delivery}: messages are due and cannot be taken in hand; something else holds "
                "their rows in the database. They are still open; it is tried again."
            )
        time.sleep(max(wait.total_seconds(), 0.1))
    progress.show(done, last=True)


def _hand_over(work: Work, quota: int | None, done: Dispatched, progress: Progress) -> None:
    s = settings()
    if quota is None and s.dispatch_processes > 1 and ledger.count_due(work.engine, work.due) >= s.dispatch_large:
        dispatch_by_workers(work.due, work.session, s.dispatch_processes, done, progress.show)
    else:
        serve(work, done, progress.show, quota=quota)
