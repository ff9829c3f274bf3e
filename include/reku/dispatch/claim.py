"""Claim the next batch: decide who may be contacted, and take them in hand, in one transaction.

This runs once for every few hundred mails, against a delivery of any size: each statement finds its rows by an index,
and none looks at what has been handed over before.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from reku.contact.contacts import lock_people, reserve
from reku.contact.data_age import check_data_age
from reku.contact.decide import Against, reasons
from reku.contact.policy import Policy
from reku.contact.reasons import Reason
from reku.dispatch import rate_limit
from reku.dispatch.channel import Channel
from reku.dispatch.journal import Journal
from reku.dispatch.ledger import Due, withhold
from reku.dispatch.plan import SendPlan
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.store.due import due_bounds
from reku.store.locks import Lock, lock_until_commit
from reku.vault.sealed_rows import Hidden, hidden_parts


class Claimed(NamedTuple):
    """One message to be handed over, with the row it is filled from.

    `message_id`: of an earlier try, or empty. `fields`: as delivered, but for the reference. `variant`: that of the
    campaign which this person gets, or empty.
    """

    id: int
    reference: str
    tracking: bool
    message_id: str
    attempts: int
    address: str
    fields: dict[str, str]
    content_key: str | None = None
    variant: str = ""


@dataclass(frozen=True)
class Batch:
    """What one claim brought: messages, each not to go out before so many seconds from now, and how many were withheld.

    `last`: the highest id that was looked at; the next claim may begin behind it. `slowed`: the domains that were
    slowed down and have taken nothing since.
    """

    fence: int
    journal: Journal
    messages: list[tuple[float, Claimed]]
    withheld: int
    last: int
    slowed: Sequence[str] = ()


_DURABLE = sa.text("""
    SELECT set_config('synchronous_commit', 'on', true),
        set_config('idle_in_transaction_session_timeout', CAST(:silence AS text), true)
""")
"""A claim that a crash of the database forgets would be mails sent twice, whatever the server's own setting is. And a
dispatcher that freezes in its claim must not hold the order's lock for ever: after a lease (ms) the server ends it."""
_FENCE = sa.text("SELECT nextval('reku.fences')")
"""From a sequence: a number is never used twice, not after a rollback either, and neither is a journal's name."""
_CANDIDATES = sa.text("""
    SELECT m.id, m.person_number, m.recipient_key, r.address
    FROM reku.messages m LEFT JOIN reku.delivery_rows r ON r.id = m.row_id
    WHERE m.delivery_id = :delivery AND m.state = 'OPEN' AND m.id > :after
        AND (CAST(:channel AS text) IS NULL OR m.channel = :channel)
        AND m.due_at >= :begin AND m.due_at < :end AND (m.retry_at IS NULL OR m.retry_at <= :moment)
        AND (cardinality(CAST(:waiting AS text[])) = 0
            OR coalesce(lower(substring(r.address, '@([^@]*)$')), '') <> ALL(CAST(:waiting AS text[])))
    ORDER BY m.id LIMIT :limit FOR UPDATE OF m SKIP LOCKED
""")
_TAKE = sa.text("""
    UPDATE reku.messages m SET state = 'CLAIMED', fence = :fence, claimed_at = :moment, retry_at = NULL
    FROM reku.delivery_rows r
    WHERE m.id = ANY(CAST(:ids AS bigint[])) AND m.state = 'OPEN' AND r.id = m.row_id
    RETURNING m.id, m.reference, m.tracking, m.message_id, m.attempts, r.address, r.fields, r.content_key,
        r.person_number, r.data_key_id, r.sealed
""")
_CHOOSE = sa.text("""
    UPDATE reku.messages m SET variant = chosen.variant
    FROM unnest(CAST(:ids AS bigint[]), CAST(:variants AS text[])) AS chosen(id, variant)
    WHERE m.id = chosen.id
""")
_BATCH = sa.text("""
    INSERT INTO reku.claims (delivery_id, fence, institute, lease_until)
    VALUES (:delivery, :fence, :institute, clock_timestamp() + CAST(:lease AS interval))
""")


def claim(
    engine: sa.Engine,
    plan: SendPlan,
    channel: Channel,
    due: Due,
    *,
    limit: int,
    journals: Path,
    lease: timedelta,
    after: int = 0,
) -> Batch | None:
    """Claim the next messages that are due, were not put off and may go out on the channel now; None: there are none.

    Nor are there any while the institute rests.

    Messages with a reason against them end as withheld in the same transaction, with their event. Dispatchers of one
    order claim one after the other, so that the same person in two of its deliveries is seen. `after`: look at higher
    ids first, and at all of them only if there is none. Raises StageError, with nothing claimed, if the data of a bank
    whose people we select are too old.
    """
    moment, blz = clock.now(), plan.institute.blz
    policy, limits = Policy.of(plan.institute), channel.limits(plan.institute)
    with engine.connect() as connection, connection.begin() as transaction:
        connection.execute(_DURABLE, {"silence": max(1000, round(lease.total_seconds() * 1000))})
        fence: int = connection.execute(_FENCE).scalar_one()
        lock_until_commit(connection, Lock.ORDER, plan.order)
        if limits is not None and rate_limit.rests(connection, blz):
            transaction.rollback()
            return None
        resting = rate_limit.waiting(connection, blz) if limits is not None else ()
        most = rate_limit.batch(limits, limit)
        decision = decide(connection, plan, channel, due, moment, limit=most, after=after, resting=resting)
        if decision is None:
            transaction.rollback()
            return None
        slots = rate_limit.reserve(connection, blz, limits, [row.address for row in decision.free])
        waits = {row.id: wait for row, wait in zip(decision.free, slots, strict=True) if wait is not None}
        rows = take(connection, plan, list(waits), fence, moment)
        media = {}
        if policy.rules.blocking_days:
            media = {row.id: plan.medium_for(row.content_key, row.variant).key for row in rows}
        reserve(connection, policy, media, clock.berlin(moment).date(), mandatory=plan.campaign.mandatory)
        connection.execute(_BATCH, {"delivery": due.delivery, "fence": fence, "institute": blz, "lease": lease})
        slowed = rate_limit.slowed(connection, blz) if limits is not None else []
        journal = Journal.create(journals, due.delivery, fence)
        try:
            transaction.commit()
        except BaseException:  # held by nobody, it can be recovered, whatever ended the commit
            journal.close()
            raise
    messages = [(waits[row.id], row) for row in rows]
    return Batch(fence, journal, messages, decision.withheld, decision.last, slowed)


@dataclass(frozen=True)
class ClaimDecision:
    """Who of those looked at may get a message now (`free`: id, person_number, recipient, address), how many were
    withheld, and the highest id that was looked at.
    """

    free: list[sa.Row[Any]]
    withheld: int
    last: int


def decide(
    connection: sa.Connection,
    plan: SendPlan,
    channel: Channel,
    due: Due,
    moment: datetime,
    *,
    limit: int | None = None,
    after: int = 0,
    resting: Collection[str] = (),
) -> ClaimDecision | None:
    """Decide about the next messages that are due (None: there are none). The caller takes them in this transaction.

    Messages with a reason against them end as withheld, with their event. The caller holds the order's lock. `limit`:
    at most so many; `resting`: domains whose recipients are passed over.
    """
    begin, end = due_bounds(due.day, due.only)
    given = {"delivery": due.delivery, "begin": begin, "end": end, "moment": moment}
    given |= {"limit": limit, "waiting": list(resting), "channel": due.channel}
    people = connection.execute(_CANDIDATES, given | {"after": after}).all()
    if not people and after:
        people = connection.execute(_CANDIDATES, given | {"after": 0}).all()
    if not people:
        return None
    policy = Policy.of(plan.institute)
    if policy.imported:
        check_data_age(connection, plan.institute)
    lock_people(connection, policy)
    against = _against(connection, policy, channel, people, clock.berlin(moment).date())
    withheld = withhold(connection, against, moment, untold=policy.untold)
    free = [row for row in people if row.id not in against]
    _check_rows(due.delivery, free)
    return ClaimDecision(free, withheld, people[-1].id)


def _against(
    connection: sa.Connection, policy: Policy, channel: Channel, people: Sequence[sa.Row[Any]], day: date
) -> Against:
    """What speaks against each of them; a second row of one person in this batch is a duplicate of the first."""
    against = reasons(connection, policy, [row.id for row in people], day, channel.barred_by)
    seen: set[tuple[str, str]] = set()
    for row in people:
        person = (row.person_number, row.recipient_key)
        if row.id not in against and person in seen:
            against[row.id] = (Reason.DUBLETTE,)
        elif row.id not in against:
            seen.add(person)
    return against


def _check_rows(delivery: int, people: Sequence[sa.Row[Any]]) -> None:
    lost = sum(row.address is None for row in people)
    if lost:
        raise StageError(
            f"Delivery {delivery}: {lost} open messages have lost their delivered rows to the retention period and "
            "cannot be filled any more. Raise that period above the occasion's window."
        )


def take(connection: sa.Connection, plan: SendPlan, ids: list[int], fence: int, moment: datetime) -> list[Claimed]:
    """Take in hand those that are still open: somebody may have ended one since it was looked at.

    Where the campaign has variants, each person's is written into the ledger.
    """
    rows = connection.execute(_TAKE, {"ids": ids, "fence": fence, "moment": moment}).all()
    variants = {row.id: plan.variant_for(row.person_number) for row in rows}
    if plan.campaign.variants and rows:
        connection.execute(_CHOOSE, {"ids": list(variants), "variants": list(variants.values())})
    hidden = hidden_parts(connection, rows)
    taken = (_claimed(row, part, variants[row.id]) for row, part in zip(rows, hidden, strict=True))
    return sorted(taken, key=lambda one: one.id)


def _claimed(row: sa.Row[Any], hidden: Hidden | None, variant: str) -> Claimed:
    """The message with its row as it was delivered, be it stored sealed or not."""
    address, fields = (row.address, row.fields) if hidden is None else (hidden.address, row.fields | hidden.fields)
    known = (row.id, row.reference, row.tracking, row.message_id, row.attempts)
    return Claimed(*known, address, fields, row.content_key, variant)
