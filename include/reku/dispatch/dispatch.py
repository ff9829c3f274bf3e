"""Dispatch: hand over what is due of one delivery, each message at most once, and say what became of each."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from reku.dispatch import canary, doubt, ledger, outage, stop_switches
from reku.dispatch.brake import Brake
from reku.dispatch.channel import Channel, PreparedChannel
from reku.dispatch.control_copy import send_control_copy
from reku.dispatch.dispatcher import Dispatcher
from reku.dispatch.ledger import Due
from reku.dispatch.lock import delivery_lock, passing_database_errors
from reku.dispatch.plan import CampaignFault, SendPlan, send_plan
from reku.dispatch.progress import DispatchResult, Progress
from reku.dispatch.window import send_window
from reku.dispatch.workers import dispatch_by_workers
from reku.foundation import clock
from reku.foundation.errors import AwayError, PassingError, StageError
from reku.foundation.settings import settings
from reku.store.delivery import load_delivery
from reku.store.states import DeliveryState
from reku.store.tables import delivery_rows, messages
from reku.vault.erasure import end_seals

log = logging.getLogger(__name__)

SHORT_WAIT = timedelta(seconds=10)
"""A wait up to this long is waited for; for a longer one the task gives its worker back (`DispatchResult.next_try`)."""


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
        row = load_delivery(connection, delivery)
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


def dispatch(
    engine: sa.Engine, delivery: int, channel: Channel, *, day: date, due_day: date | None = None
) -> DispatchResult:
    """Hand over on the channel every open message of the delivery that is due up to `day` (or exactly on `due_day`).

    Ends early, with `next_try` in the answer, when what is left has to wait: for the send window, for the server that
    put it off or is away, for the canary. Raises CampaignFault, ConfigError and StageError before anything is sent;
    StillRunning and StillLeased when another dispatcher is at it; Stopped, LockLost, DatabaseLost, StageError and what
    the channel raises with everything not handed over still open.
    """
    plan = check_dispatchable(engine, delivery).for_channel(channel.name)
    prepared = channel.prepare(plan)
    due = Due(delivery, day, due_day, channel.name)
    window = send_window(plan, clock.now())
    result = DispatchResult()
    with passing_database_errors(delivery), delivery_lock(engine, delivery) as lock:
        result.in_doubt += lock.recovered.in_doubt
        doubt.resend(engine, delivery, plan)
        ledger.end_put_off(engine, due, window.opens)
        if clock.now() < window.opens:
            result.put_off = ledger.count_due(engine, due)
            result.next_try = window.opens if result.put_off else None
            return result
        with engine.connect() as connection:
            stop_switches.check_stops(connection, plan.institute.blz, plan.order_number)
        total = ledger.count_due(engine, due)
        progress, brake = Progress(delivery, total), Brake(plan.institute.refusals)
        terms = Dispatcher(engine, plan, channel, due, window.closes, lock.session, result, progress.show, brake)
        try:
            if total:
                send_control_copy(engine, delivery, prepared)
            _send_until_done(terms, prepared)
        except AwayError as away:
            _come_back(terms, away)
        progress.show(result, last=True)
        result.put_off = ledger.count_due(engine, due)
        if plan.institute.delivers_data and result.handed_over + result.withheld:
            _end_seals(engine, plan)
    return result


def _come_back(terms: Dispatcher, away: AwayError) -> None:
    """Have it tried again while the window is open; then the error is raised."""
    moment = outage.next_try(terms.engine, terms.due.delivery)
    if moment >= terms.until:
        raise away
    log.warning("delivery %d: %s", terms.due.delivery, away)
    terms.result.next_try = moment
    terms.result.why_later = (
        f"{away} It is tried again by itself until the send window ends at {clock.berlin(terms.until):%H:%M}; clear"
        " `dispatch` to have it tried at once."
    )


def _end_seals(engine: sa.Engine, plan: SendPlan) -> None:
    """Destroy the data keys that seal nothing any more, and put on record how many rows have left with their mails."""
    of = sa.select(sa.func.count()).where(messages.c.delivery_id == plan.delivery)
    left = sa.select(sa.func.count()).where(delivery_rows.c.delivery_id == plan.delivery)
    with engine.begin() as connection:
        total, waiting = connection.scalar(of) or 0, connection.scalar(left) or 0
        told = f"{total - waiting} of {total} rows erased with their mails so far"
        end_seals(connection, plan.institute.blz, subject=f"deliveries:{plan.delivery}", told=told)


def _send_until_done(terms: Dispatcher, prepared: PreparedChannel) -> None:
    """Send until nothing is left that may go out now or in a moment."""
    engine, due, result = terms.engine, terms.due, terms.result
    ended = -1
    while True:
        allowance = canary.allowance(engine, terms.plan, due.delivery)
        if allowance.wait_until is None:
            _send(replace(terms, quota=allowance.quota), prepared)
            outage.note_end(engine, due.delivery)
        wait = ledger.next_try(engine, due)
        if wait is None and doubt.resend(engine, due.delivery, terms.plan):
            continue
        if wait is None:
            return
        if allowance.wait_until is not None:
            result.try_again_at(allowance.wait_until)
            return
        until = min(clock.now() + wait, terms.until)
        if until - clock.now() > SHORT_WAIT or until == terms.until:
            result.try_again_at(until)
            return
        before, ended = ended, result.handed_over + result.withheld + result.put_off + result.in_doubt
        if ended == before and wait <= timedelta():
            raise PassingError(
                f"Delivery {due.delivery}: messages are due and cannot be taken in hand; something else holds "
                "their rows in the database. They are still open; it is tried again."
            )
        time.sleep(max(wait.total_seconds(), 0.1))


def _send(terms: Dispatcher, prepared: PreparedChannel) -> None:
    """Send all that can be had at this moment, a large delivery in several processes."""
    processes = terms.channel.processes if terms.quota is None else 1
    if processes > 1 and ledger.count_due(terms.engine, terms.due) >= settings().dispatch_large:
        dispatch_by_workers(terms, processes)
    else:
        prepared.send(terms)
