"""Dispatch: hand over what is due of one delivery, each message at most once, and say what became of each."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import date, datetime

import sqlalchemy as sa

from reku import clock
from reku.catalogue.bounce_rules import BounceClass, judge
from reku.contact.reasons import Reason
from reku.errors import PassingError, StageError
from reku.mailing import ledger
from reku.mailing.campaign import CampaignFault, Route, route
from reku.mailing.compile import compile_medium
from reku.mailing.fill import Mail, fill
from reku.mailing.handover import Answer, Outcome, Relay, SessionError
from reku.mailing.links import links_for
from reku.settings import settings
from reku.store.events import Event
from reku.store.tables import DeliveryState, MessageState, ResponseKind, deliveries, messages

log = logging.getLogger(__name__)

BATCH = 50
"""Messages claimed at once: what a dispatcher that dies can leave claimed, all of it recovered as open."""
PROGRESS_SECONDS = 5.0
BLOCKED_IN_A_ROW = 20
"""So many refusals in a row that are not about the person mean that the relay refuses us: stop."""
RETRY_PAUSES = (2.0, 10.0, 30.0)
"""Seconds between the rounds in which temporarily refused messages are tried again within one task."""


@dataclass
class Dispatched:
    """What one dispatch did: messages sent, withheld, rejected by the server, put off, fallen in doubt."""

    sent: int = 0
    withheld: int = 0
    rejected: int = 0
    in_doubt: int = 0
    later: set[int] = field(default_factory=set)
    blocked_in_a_row: int = 0
    started: float = field(default_factory=time.monotonic)
    shown: float = field(default_factory=time.monotonic)

    def as_counts(self) -> dict[str, int]:
        """For XCom and logs: numbers only."""
        return {
            "sent": self.sent,
            "withheld": self.withheld,
            "rejected": self.rejected,
            "in_doubt": self.in_doubt,
            "put_off": len(self.later),
        }


def next_due(engine: sa.Engine, delivery: int, day: date) -> datetime | None:
    """The moment of the latest play-out among the delivery's open messages due up to that day, or None."""
    due_on = sa.cast(sa.func.timezone("Europe/Berlin", messages.c.due_at), sa.Date)
    with engine.connect() as connection:
        found: datetime | None = connection.scalar(
            sa.select(sa.func.max(messages.c.due_at)).where(
                messages.c.delivery_id == delivery, messages.c.state == MessageState.OPEN, due_on <= day
            )
        )
        return found


def check(engine: sa.Engine, delivery: int) -> Route:
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
        if row.state != DeliveryState.LOADED or row.released_at is None:
            raise StageError(
                f"Delivery {delivery} is {row.state} and {'not ' if row.released_at is None else ''}released: it is "
                "not mailed. Clear the failed task before `dispatch` instead."
            )
        try:
            return route(connection, delivery)
        except CampaignFault:
            ledger.withhold_ended(engine, delivery)
            raise


def dispatch(engine: sa.Engine, delivery: int, *, day: date, due_day: date | None = None) -> Dispatched:
    """Hand over every open message of the delivery that is due up to `day` (or exactly on `due_day`).

    Raises CampaignFault and StageError before anything is sent; StillRunning when another dispatcher is at it;
    SessionError, LockLost and StageError with everything not handed over still open.
    """
    way = check(engine, delivery)
    done = Dispatched()
    with ledger.delivery_lock(engine, delivery) as lock:
        done.in_doubt += ledger.recover(engine, delivery)
        pauses = iter(RETRY_PAUSES)
        while True:
            claimed, withheld, fence = ledger.claim(
                engine, delivery, day=day, due_day=due_day, limit=BATCH, skip=done.later
            )
            done.withheld += withheld
            if claimed:
                _hand_over_batch(engine, lock, way, claimed, fence, done)
                continue
            if withheld:
                continue
            pause = next(pauses, None)
            if not done.later or pause is None:
                break
            log.info("%d put off by the server, next try in %.0f s", len(done.later), pause)
            time.sleep(pause)
            done.later.clear()
        lock.check()  # without it the rows in hand may be another dispatcher's by now
        ledger.recover(engine, delivery)
    _progress(done, delivery, last=True)
    if done.later:
        raise PassingError(
            f"Delivery {delivery}: the server put off {len(done.later)} messages; they are still open. Clear "
            "`dispatch` to try again; past their window they end as not delivered in time."
        )
    return done


def _hand_over_batch(
    engine: sa.Engine, lock: ledger.Lock, way: Route, claimed: list[ledger.Claimed], fence: int, done: Dispatched
) -> None:
    mails = [(one, *_filled(way, one)) for one in claimed]  # a medium that cannot be filled stops before the first mail
    try:
        with Relay(settings()) as relay:
            for one, medium, mail in mails:
                lock.check()
                if not ledger.begin(engine, one.id, fence, message_id=mail.message_id, medium=medium):
                    done.withheld += 1
                    continue
                try:
                    answer = relay.hand_over(mail)
                except SessionError as error:
                    _session_ended(engine, one, fence, error, done)
                    raise
                _record(engine, one, fence, answer, done)
                _progress(done, way.delivery_number)
    finally:
        with engine.begin() as connection:
            connection.execute(
                sa.update(messages)
                .where(messages.c.id.in_([one.id for one in claimed]))
                .where(messages.c.fence == fence, messages.c.state == MessageState.CLAIMED)
                .values(state=MessageState.OPEN, fence=None, claimed_at=None)
            )


def _filled(way: Route, one: ledger.Claimed) -> tuple[str, Mail]:
    medium = way.medium_for(one.fields)
    compiled = compile_medium(medium, way.institute)
    links = links_for(one.id, tracking=one.tracking)
    return medium.key, fill(
        compiled, one.fields, links, order_number=way.order_number, delivery_number=way.delivery_number
    )


def _session_ended(engine: sa.Engine, one: ledger.Claimed, fence: int, error: SessionError, done: Dispatched) -> None:
    """The mail in hand is in doubt if its final dot may have reached the server, otherwise it is open again."""
    if error.begun_unanswered:
        done.in_doubt += 1
        ledger.finish(engine, one.id, fence, MessageState.IN_DOUBT, "", [])
    else:
        ledger.finish(engine, one.id, fence, MessageState.OPEN, "", [])


def _record(engine: sa.Engine, one: ledger.Claimed, fence: int, answer: Answer, done: Dispatched) -> None:
    moment = clock.now()
    if answer.outcome is Outcome.ACCEPTED:
        done.sent += 1
        done.blocked_in_a_row = 0
        events = [Event(one.id, ResponseKind.VERS, moment)]
        ledger.finish(engine, one.id, fence, MessageState.SENT, answer.short, events)
    elif answer.outcome is Outcome.LATER:
        done.later.add(one.id)
        ledger.finish(engine, one.id, fence, MessageState.OPEN, answer.short, [])
    elif answer.outcome is Outcome.UNADDRESSABLE:
        done.withheld += 1
        reason = Reason.ADRESSE_UNGUELTIG
        events = [Event(one.id, reason.response, moment, reason.code)]
        ledger.finish(engine, one.id, fence, MessageState.WITHHELD, "", events, reason)
    else:
        done.rejected += 1
        found = judge(answer.enhanced, f"{answer.code} {answer.text}")
        done.blocked_in_a_row = 0 if found.bounce_class is BounceClass.HARD else done.blocked_in_a_row + 1
        events = [Event(one.id, ResponseKind(found.bounce_class.event), moment, found.status)]
        ledger.finish(engine, one.id, fence, MessageState.REJECTED, answer.short, events)
        if done.blocked_in_a_row >= BLOCKED_IN_A_ROW:
            raise StageError(
                f"The server refused {BLOCKED_IN_A_ROW} mails in a row, the last with {answer.short}, for reasons that "
                "are not the people's addresses. Everything not handed over is still open: find out why the server "
                "refuses our mails, then clear `dispatch`."
            )


def _progress(done: Dispatched, delivery: int, *, last: bool = False) -> None:
    moment = time.monotonic()
    if not last and moment - done.shown < PROGRESS_SECONDS:
        return
    done.shown = moment
    rate = done.sent / max(moment - done.started, 0.001)
    log.info(
        "delivery %s: %d sent, %d withheld, %d rejected, %d put off, %d in doubt; %.0f a second",
        delivery,
        done.sent,
        done.withheld,
        done.rejected,
        len(done.later),
        done.in_doubt,
        rate,
    )
