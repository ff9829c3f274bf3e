"""The ledger: claims before it sends, records after, and never lets two dispatchers hold one delivery (DESIGN 6.1).

A dispatcher holds a session-level advisory lock for its delivery on a connection of its own. Each batch is claimed with
a fencing number; a mail is begun only if its row still carries that number. What a dead dispatcher had claimed and not
begun goes back to open; what it had begun is in doubt. Its own late answer, should it still come, beats the doubt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from reku import clock
from reku.contact.decide import is_barred, reasons
from reku.contact.reasons import Reason
from reku.errors import PassingError, StageError
from reku.store.events import Event, record
from reku.store.tables import MessageState, ResponseKind, deliveries, delivery_rows, messages

LOCK_CLASS = 4711  # first key of our advisory locks on deliveries; the second is the delivery's id


ENDED = (Reason.AUFTRAG_BEENDET, Reason.ABGELAUFEN)
"""Reasons that hold whatever the campaign looks like."""


class StillRunning(PassingError):
    """Another dispatcher has this delivery in hand; try again later."""


class LockLost(PassingError):
    """The lock of this dispatcher is gone (database restart, connection cut): it must not hand over anything more."""


@dataclass(frozen=True)
class Claimed:
    """One message to be handed over, with the row it is filled from."""

    id: int
    reference: str
    tracking: bool
    address: str
    fields: dict[str, str]


class Lock:
    """The advisory lock of one delivery, on a connection that does nothing else."""

    def __init__(self, connection: sa.Connection, delivery: int) -> None:
        self._connection, self._delivery = connection, delivery

    def check(self) -> None:
        """Raise LockLost unless this session still holds the lock."""
        try:
            held = self._connection.scalar(
                sa.text(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
                    " AND classid = :first AND objid = :second AND granted"
                ),
                {"first": LOCK_CLASS, "second": self._delivery},
            )
        except DBAPIError as error:
            raise LockLost(_lost(self._delivery)) from error
        if not held:
            raise LockLost(_lost(self._delivery))


def _lost(delivery: int) -> str:
    return (
        f"The dispatcher of delivery {delivery} lost its lock and has stopped handing over. What is open stays open: "
        "clear `dispatch`."
    )


@contextmanager
def delivery_lock(engine: sa.Engine, delivery: int) -> Iterator[Lock]:
    """Hold the delivery's lock. Raises StillRunning when another dispatcher holds it."""
    keys = {"first": LOCK_CLASS, "second": delivery}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(sa.text("SELECT pg_try_advisory_lock(:first, :second)"), keys):
            raise StillRunning(
                f"Delivery {delivery} is being dispatched by another task that still runs. Nothing was done here: "
                "clear `dispatch` when it has ended."
            )
        try:
            yield Lock(connection, delivery)
        finally:
            try:
                connection.execute(sa.text("SELECT pg_advisory_unlock(:first, :second)"), keys)
            except SQLAlchemyError:
                connection.invalidate()  # the session is gone, and its lock with it


def recover(engine: sa.Engine, delivery: int) -> int:
    """Put right what a dead dispatcher left; call only under the delivery's lock. Returns how many fell in doubt."""
    with engine.begin() as connection:
        connection.execute(
            sa.update(messages)
            .where(messages.c.delivery_id == delivery, messages.c.state == MessageState.CLAIMED)
            .values(state=MessageState.OPEN, fence=None, claimed_at=None)
        )
        doubtful = connection.execute(
            sa.update(messages)
            .where(messages.c.delivery_id == delivery, messages.c.state == MessageState.BEGUN)
            .values(state=MessageState.IN_DOUBT)
        )
        return doubtful.rowcount


def claim(
    engine: sa.Engine, delivery: int, *, day: date, due_day: date | None, limit: int, skip: set[int]
) -> tuple[list[Claimed], int, int]:
    """Claim the next batch of messages due on or before `day` (or exactly on `due_day`, for a past day's run).

    Messages with a reason against them end as withheld in the same transaction, with their event. Messages in `skip`
    (told to come back later) are left alone. Returns (to be handed over, how many were withheld, fence).
    """
    moment = clock.now()
    due_on = sa.cast(sa.func.timezone("Europe/Berlin", messages.c.due_at), sa.Date)
    with engine.begin() as connection:
        fence, institute = connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == delivery)
            .values(fence=deliveries.c.fence + 1)
            .returning(deliveries.c.fence, deliveries.c.institute)
        ).one()
        ids = list(
            connection.scalars(
                sa.select(messages.c.id)
                .where(messages.c.delivery_id == delivery, messages.c.state == MessageState.OPEN)
                .where(due_on == due_day if due_day else due_on <= day)
                .where(messages.c.id.not_in(skip))
                .order_by(messages.c.id)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
        )
        against = reasons(connection, institute, ids, clock.berlin(moment).date())
        _withhold(connection, against, moment)
        free = [id_ for id_ in ids if id_ not in against]
        connection.execute(
            sa.update(messages)
            .where(messages.c.id.in_(free))
            .values(state=MessageState.CLAIMED, fence=fence, claimed_at=moment)
        )
        rows = connection.execute(
            sa.select(
                messages.c.id,
                messages.c.reference,
                messages.c.tracking,
                delivery_rows.c.address,
                delivery_rows.c.fields,
            )
            .join(delivery_rows, delivery_rows.c.id == messages.c.row_id)
            .where(messages.c.id.in_(free))
            .order_by(messages.c.id)
        ).all()
        if len(rows) != len(free):
            raise StageError(
                f"Delivery {delivery}: {len(free) - len(rows)} open messages have lost their delivered rows to the "
                "retention period and cannot be filled any more. Raise that period above the occasion's window."
            )
        return [Claimed(*row) for row in rows], len(against), fence


def withhold_ended(engine: sa.Engine, delivery: int) -> int:
    """Withhold the delivery's open messages whose order has ended or whose window has passed. Returns how many."""
    moment = clock.now()
    with engine.begin() as connection:
        open_ones = connection.execute(
            sa.select(messages.c.id, messages.c.institute)
            .where(messages.c.delivery_id == delivery, messages.c.state == MessageState.OPEN)
            .order_by(messages.c.id)
            .with_for_update(skip_locked=True)
        ).all()
        found: dict[int, Reason] = {}
        for start in range(0, len(open_ones), 1000):
            batch = open_ones[start : start + 1000]
            found |= reasons(connection, batch[0].institute, [row.id for row in batch], clock.berlin(moment).date())
        ended = {id_: reason for id_, reason in found.items() if reason in ENDED}
        _withhold(connection, ended, moment)
        return len(ended)


def _withhold(connection: sa.Connection, against: dict[int, Reason], moment: datetime) -> None:
    """End messages as withheld. One that a server kept putting off until its window ended was not delivered in time.

    A message that another dispatcher has begun or ended meanwhile is left alone.
    """
    late = set(
        connection.scalars(
            sa.select(messages.c.id).where(
                messages.c.id.in_([id_ for id_, reason in against.items() if reason is Reason.ABGELAUFEN]),
                messages.c.attempts > 0,
            )
        )
    )
    events = []
    for id_, reason in against.items():
        ended: dict[str, Any] = {"ended_at": moment}
        if id_ in late:
            ended |= {"state": MessageState.UNDELIVERED}
            event = Event(id_, ResponseKind.SBOU, moment, "4.4.7")  # RFC 3463: delivery time expired
        else:
            ended |= {"state": MessageState.WITHHELD, "reason": reason}
            event = Event(id_, reason.response, moment, reason.code)
        noted = connection.execute(
            sa.update(messages)
            .where(messages.c.id == id_, messages.c.state.in_((MessageState.OPEN, MessageState.CLAIMED)))
            .values(**ended)
        )
        if noted.rowcount:
            events.append(event)
    record(connection, events)


def begin(engine: sa.Engine, id_: int, fence: int, *, message_id: str, medium: str) -> bool:
    """Note, committed, that hand-over of this message begins. False: it is withheld after all.

    That is a duplicate, or somebody who unsubscribed or complained since the batch was claimed: both apply at once to
    everything not yet handed over. Raises LockLost when the row no longer carries our fence: another dispatcher has
    taken over.
    """
    moment = clock.now()
    ours = (messages.c.id == id_, messages.c.fence == fence, messages.c.state == MessageState.CLAIMED)
    try:
        with engine.begin() as connection:
            begun = connection.execute(
                sa.update(messages)
                .where(*ours, ~is_barred())
                .values(
                    state=MessageState.BEGUN,
                    begun_at=moment,
                    message_id=message_id,
                    medium=medium,
                    attempts=messages.c.attempts + 1,
                )
                .returning(messages.c.id)
            ).one_or_none()
            if begun is None and _withhold_barred(connection, ours, moment):
                return False
    except IntegrityError:  # one of the two unique indexes: a second mail to this person for this date or delivery
        with engine.begin() as connection:
            _withhold(connection, {id_: Reason.DUBLETTE}, moment)
        return False
    if begun is None:
        raise LockLost("A message of this dispatcher has been taken over by another one; this one has stopped.")
    return True


def _withhold_barred(connection: sa.Connection, ours: Sequence[sa.ColumnElement[bool]], moment: datetime) -> bool:
    """Withhold the claimed message for what speaks against it by now. False: it is not ours any more."""
    row = connection.execute(
        sa.select(messages.c.id, messages.c.institute).where(*ours).with_for_update()
    ).one_or_none()
    if row is None:
        return False
    against = reasons(connection, row.institute, [row.id], clock.berlin(moment).date())
    _withhold(connection, against, moment)
    return bool(against)


def finish(
    engine: sa.Engine, id_: int, fence: int, state: MessageState, answer: str, events: list[Event], reason: str = ""
) -> None:
    """Record the answer to a begun message. Our own answer beats a doubt that another dispatcher noted meanwhile."""
    with engine.begin() as connection:
        ended = {"ended_at": clock.now()} if state is not MessageState.OPEN else {"fence": None, "claimed_at": None}
        noted = connection.execute(
            sa.update(messages)
            .where(
                messages.c.id == id_,
                messages.c.fence == fence,
                messages.c.state.in_((MessageState.BEGUN, MessageState.IN_DOUBT)),
            )
            .values(state=state, answer=answer, reason=reason, **ended)
        )
        if noted.rowcount:
            record(connection, events)


def counts(connection: sa.Connection, delivery: int) -> dict[str, int]:
    """How many messages of a delivery are in each state (all states, zeros included)."""
    found = connection.execute(
        sa.select(messages.c.state, sa.func.count())
        .where(messages.c.delivery_id == delivery)
        .group_by(messages.c.state)
    ).all()
    return {state.value: 0 for state in MessageState} | dict(map(tuple, found))
