"""The ledger: claims in batches before it sends, records in batches after, and knows what died in between.

A dispatcher claims a batch with a fencing number and a lease, in one transaction with the decision who may be
contacted. What it begins and what the server answers stands in the batch's journal first and here a little later. Of a
dispatcher that died, the journal says what became of each mail (see `recovery`). The claimer's own late answer beats a
doubt that somebody else noted meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from reku.contact.decide import Against, reasons
from reku.contact.policy import policy_of
from reku.contact.reasons import Reason
from reku.dispatch import rate_limit
from reku.dispatch.journal import Ended
from reku.foundation import clock
from reku.store.due import due_by
from reku.store.events import Event, record
from reku.store.kinds import EventKind
from reku.store.states import MESSAGE_HAS_ENDED, MessageState, with_states
from reku.store.tables import claims, delivery_rows, messages
from reku.vault.erasure import erasure_on_record
from reku.vault.sealed_rows import forget_rows

NOT_IN_TIME = "4.4.7"
"""Status of a message that was put off until its time was over (RFC 3463: delivery time expired)."""

_ENDED = (Reason.AUFTRAG_BEENDET, Reason.ABGELAUFEN)
"""Reasons that hold whatever the campaign looks like."""


@dataclass(frozen=True)
class Due:
    """Which open messages of a delivery are meant: due up to `day`, or exactly on `only`, in Berlin's calendar.

    `channel`: of this one only; None: of all.
    """

    delivery: int
    day: date
    only: date | None = None
    channel: str | None = None

    def condition(self) -> sa.ColumnElement[bool]:
        """What is meant, for a statement over `messages`; it uses the index of open messages."""
        of = messages.c
        on_channel = sa.true() if self.channel is None else of.channel == self.channel
        return on_channel & (
            (of.delivery_id == self.delivery) & (of.state == MessageState.OPEN) & due_by(of.due_at, self.day, self.only)
        )


def renew_leases(connection: sa.Connection, delivery: int, fences: Collection[int], lease: timedelta) -> bool:
    """Let the batches' leases begin anew. False when somebody has taken one of them over."""
    # the database's own clock: ours may be moved, and machines' clocks differ
    end = sa.func.clock_timestamp() + sa.cast(lease, sa.Interval)
    renewed = connection.execute(
        sa.update(claims)
        .where(claims.c.delivery_id == delivery, claims.c.fence == sa.any_(_array(fences)))
        .values(lease_until=end)
    )
    return renewed.rowcount == len(fences)


_RECORD = with_states("""
    UPDATE reku.messages m SET
        state = ended.state, answer = coalesce(nullif(ended.answer, ''), m.answer),
        attempts = m.attempts + CAST(ended.begun_at IS NOT NULL AS integer),
        reason = CASE ended.state WHEN 'WITHHELD' THEN ended.reason ELSE '' END,
        reasons = CASE ended.state WHEN 'WITHHELD' THEN ARRAY[ended.reason] ELSE '{}' END,
        message_id = ended.message_id, medium = coalesce(nullif(ended.medium, ''), m.medium),
        begun_at = coalesce(ended.begun_at, m.begun_at),
        ended_at = CASE WHEN ended.state IN {MESSAGE_HAS_ENDED} THEN ended.ended_at END,
        retry_at = ended.retry_at,
        fence = CASE WHEN ended.state <> 'OPEN' THEN m.fence END,
        claimed_at = CASE WHEN ended.state <> 'OPEN' THEN m.claimed_at END
    FROM json_to_recordset(CAST(:ends AS json)) AS ended(
        fence bigint, id bigint, state text, begun_at timestamptz, ended_at timestamptz, answer text, reason text,
        message_id text, medium text, retry_at timestamptz
    )
    WHERE m.id = ended.id AND m.fence = ended.fence
        -- not `IN`: the planner would walk the index of everything handed over instead of looking up these few
        AND CASE WHEN m.state IN {TAKES_A_LATE_ANSWER} THEN true ELSE false END
    RETURNING m.id, m.institute, m.row_id, m.state
""")


def record_answers(connection: sa.Connection, ended: Sequence[tuple[int, Ended]]) -> None:
    """Record how hand-over ended, `(fence, what)` for each message, with the events, in the caller's transaction.

    A message that carries another fence by now, or that a person has closed, is left alone. Sealed rows of those that
    have ended leave.
    """
    if not ended:
        return
    ends = [{"fence": fence} | one._asdict() for fence, one in ended]
    rows = connection.execute(_RECORD, {"ends": msgspec.json.encode(ends).decode()}).all()
    recorded = {row.id for row in rows}
    record(
        connection,
        [
            Event(one.id, EventKind(one.event), one.ended_at, one.reason)
            for _, one in ended
            if one.event and one.id in recorded
        ],
    )
    _forget_sealed(connection, rows)


def _forget_sealed(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> None:
    """Let the sealed rows go of messages (institute, row_id, state) that have ended: names and addresses are through.

    In the transaction that records the end, so that none is left behind.
    """
    ended = [row.row_id for row in rows if row.state in MESSAGE_HAS_ENDED and row.row_id is not None]
    if ended and policy_of(rows[0].institute).imported:
        forget_rows(connection, ended)


def record_batches(
    engine: sa.Engine,
    delivery: int,
    ended: Sequence[tuple[int, Ended]],
    barred: Collection[tuple[int, int]] = (),
    finished: Mapping[int, Collection[int]] | None = None,
) -> None:
    """Record answers, withhold claimed messages that were barred meanwhile, and close finished batches.

    `barred`: fence and message; they were never begun. `finished`: fence → messages of the batch that were never begun;
    they are open again.
    """
    with engine.begin() as connection:
        record_answers(connection, ended)
        if barred:
            _withhold_barred(connection, barred)
        if finished:
            reopen(connection, finished)
            close_batches(connection, delivery, finished)


def reopen(connection: sa.Connection, batches: Mapping[int, Collection[int]]) -> None:
    """Open claimed messages again that were never begun (fence → ids), unless they are in other hands by now."""
    for fence, ids in batches.items():
        if ids:
            connection.execute(
                sa.update(messages)
                .where(_one_of(ids), messages.c.fence == fence, messages.c.state == MessageState.CLAIMED)
                .values(state=MessageState.OPEN, fence=None, claimed_at=None)
            )


def close_batches(connection: sa.Connection, delivery: int, fences: Collection[int]) -> None:
    """End batches."""
    connection.execute(
        sa.delete(claims).where(claims.c.delivery_id == delivery, claims.c.fence == sa.any_(_array(fences)))
    )


def claimed_ids(connection: sa.Connection, delivery: int, fence: int) -> list[int]:
    """The messages of a batch that have neither ended nor been opened again."""
    wanted = sa.select(messages.c.id).where(
        messages.c.delivery_id == delivery,
        messages.c.fence == fence,
        messages.c.state == MessageState.CLAIMED,
    )
    return list(connection.scalars(wanted))


def _withhold_barred(connection: sa.Connection, barred: Collection[tuple[int, int]]) -> None:
    moment = clock.now()
    rows = connection.execute(
        sa.select(messages.c.id, messages.c.institute, messages.c.fence)
        .where(sa.tuple_(messages.c.fence, messages.c.id).in_(barred), messages.c.state == MessageState.CLAIMED)
        .with_for_update()
    ).all()
    if rows:
        policy = policy_of(rows[0].institute)
        against = reasons(connection, policy, [row.id for row in rows], clock.berlin(moment).date())
        withhold(connection, against, moment, untold=policy.untold)
        for row in rows:  # those whose bar was lifted meanwhile
            if row.id not in against:
                reopen(connection, {row.fence: [row.id]})


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
        if not open_ones:
            return 0
        against = reasons(
            connection, policy_of(open_ones[0].institute), [row.id for row in open_ones], clock.berlin(moment).date()
        )
        ended = {id_: reasons for id_, reasons in against.items() if reasons[0] in _ENDED}
        with erasure_on_record(connection, open_ones[0].institute, delivery):
            return withhold(connection, ended, moment)


_WITHHOLD = with_states("""
    UPDATE reku.messages m SET
        state = CASE WHEN given.reason = 'ABGELAUFEN' AND m.attempts > 0 THEN 'UNDELIVERED' ELSE 'WITHHELD' END,
        reason = CASE WHEN given.reason = 'ABGELAUFEN' AND m.attempts > 0 THEN '' ELSE given.reason END,
        reasons = string_to_array(given.reasons, ' '), ended_at = :moment
    FROM unnest(CAST(:ids AS bigint[]), CAST(:first AS text[]), CAST(:all AS text[])) AS given(id, reason, reasons)
    WHERE m.id = given.id AND m.state IN {MAY_STILL_GO_OUT}
    RETURNING m.id, m.state, given.reason, m.institute, m.row_id
""")


def withhold(
    connection: sa.Connection, against: Against, moment: datetime, *, untold: frozenset[Reason] = frozenset()
) -> int:
    """End messages as withheld, with their events; the first reason is reported, all are kept. Returns how many.

    Of `untold` reasons there is no event. One that a server kept putting off until its window ended was not delivered
    in time. A message that another dispatcher has ended meanwhile is left alone.
    """
    if not against:
        return 0
    given = {
        "ids": list(against),
        "first": [reasons[0].value for reasons in against.values()],
        "all": [" ".join(reason.value for reason in reasons) for reasons in against.values()],
    }
    rows = connection.execute(_WITHHOLD, given | {"moment": moment}).all()
    events = []
    for row in rows:
        reason = Reason(row.reason)
        if row.state == MessageState.UNDELIVERED:
            events.append(Event(row.id, EventKind.BOUNCED_SOFT, moment, NOT_IN_TIME))
        elif reason not in untold:
            events.append(Event(row.id, reason.event, moment, reason.code))
    record(connection, events)
    _forget_sealed(connection, rows)
    return len(rows)


def end_put_off(engine: sa.Engine, due: Due, before: datetime) -> int:
    """End what the server put off and kept putting off until that send window ended: not delivered in time.

    `before`: the beginning of the present or next send window. Returns how many.
    """
    moment = clock.now()
    with engine.begin() as connection:
        late = connection.execute(
            sa.update(messages)
            .where(due.condition(), messages.c.retry_at.is_not(None), messages.c.begun_at < before)
            .values(state=MessageState.UNDELIVERED, ended_at=moment)
            .returning(messages.c.id, messages.c.institute, messages.c.row_id, messages.c.state)
        ).all()
        record(connection, [Event(row.id, EventKind.BOUNCED_SOFT, moment, NOT_IN_TIME) for row in late])
        _forget_sealed(connection, late)
    return len(late)


def count_due(engine: sa.Engine, due: Due) -> int:
    """How many open messages are due, those that were put off included."""
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(messages).where(due.condition())) or 0


def next_try(engine: sa.Engine, due: Due) -> timedelta | None:
    """How long until one of the due messages may be tried (again); None when none is open any more."""
    domain = rate_limit.next_at(messages.c.institute, delivery_rows.c.address)
    wait = sa.func.greatest(
        messages.c.retry_at - sa.literal(clock.now()),
        domain - sa.func.clock_timestamp(),
        sa.cast(timedelta(), sa.Interval),
    )
    with engine.connect() as connection:
        shortest: timedelta | None = connection.scalar(
            sa.select(sa.func.min(wait))
            .join(delivery_rows, delivery_rows.c.id == messages.c.row_id)
            .where(due.condition())
        )
        return shortest


def counts(connection: sa.Connection, delivery: int) -> dict[str, int]:
    """How many messages of a delivery are in each state (all states, zeros included)."""
    rows = connection.execute(
        sa.select(messages.c.state, sa.func.count())
        .where(messages.c.delivery_id == delivery)
        .group_by(messages.c.state)
    ).all()
    return {state.value: 0 for state in MessageState} | dict(map(tuple, rows))


def _array(ids: Iterable[int]) -> sa.ColumnElement[Any]:
    return sa.cast(list(ids), ARRAY(sa.BigInteger))


def _one_of(ids: Collection[int]) -> sa.ColumnElement[bool]:
    return messages.c.id == sa.any_(_array(ids))
