"""Rows whose time is over. A delivery leaves as a whole, in one transaction, so that its numbers add up to the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.catalogue import institutes
from reku.catalogue.contact import MOST_DAYS_AFTER
from reku.foundation import clock
from reku.foundation.errors import ConfigError
from reku.foundation.settings import Settings
from reku.store.audit import put_on_record
from reku.store.bounce_series import RETAINED_AT, series
from reku.store.kinds import EventKind, SuppressionKind, SuppressionSource
from reku.store.states import DELIVERY_HAS_ENDED, MESSAGE_HAS_ENDED, WILL_NEVER_BE_LOADED, MessageState
from reku.store.tables import (
    appointments,
    audit,
    claims,
    contacts,
    control_files,
    data_keys,
    deliveries,
    delivery_rows,
    dispatches,
    emma_events,
    feedback_files,
    feedback_rows,
    file_tries,
    files,
    hits,
    lists,
    messages,
    metrics,
    past_messages,
    prepared_files,
    prepared_rows,
    rate_limits,
    reactivations,
    rejects,
    releases,
    response_counts,
    responses,
    return_mails,
    rule_counts,
    selected_rows,
    selections,
    stops,
    subscribers,
    suppressions,
    told_in_bap,
)
from reku.store.unreported import hold_exports, waiting
from reku.vault.day_keys import destroy_unused
from reku.vault.erasure import ACTION, BY_ITSELF

Done = tuple[Counter[str], list[str]]

"""A delivery in one of these states goes nowhere any more; its messages may still be open."""

_OF_A_DELIVERY = (
    delivery_rows,
    selected_rows,
    selections,
    rejects,
    rule_counts,
    metrics,
    releases,
    dispatches,
    prepared_files,
    response_counts,
)
"""What leaves with a delivery."""

BATCH = 5_000
"""Rows that go in one transaction, where they do not belong together."""


def sent_rows(engine: sa.Engine, now: datetime, s: Settings) -> Done:
    """Delivered rows (names, addresses) of messages that have ended; those never loaded go with the originals.

    A message in doubt may be sent again until its last day; then its row goes too.
    """
    limit, old = now - timedelta(hours=s.keep_sent_hours), clock.berlin(now).date()
    ended = sa.or_(
        messages.c.state.in_(MESSAGE_HAS_ENDED) & (messages.c.ended_at < limit),
        (messages.c.state == MessageState.IN_DOUBT) & (messages.c.begun_at < limit) & (messages.c.last_day < old),
    )
    never_loaded = deliveries.c.state.in_(WILL_NEVER_BE_LOADED) & (
        deliveries.c.day < old - timedelta(days=s.keep_files_days)
    )
    # what a prepared file is made of stays as long as that may be fetched
    offered = sa.exists().where(prepared_rows.c.message_id == messages.c.id)
    counted: Counter[str] = Counter()
    with engine.connect() as connection:
        left = connection.scalars(sa.select(delivery_rows.c.delivery_id).distinct()).all()
    for delivery in left:
        of_delivery = delivery_rows.c.delivery_id == delivery
        told = sa.exists().where(
            messages.c.delivery_id == delivery, messages.c.reference == delivery_rows.c.reference, ended, ~offered
        )
        over = sa.exists().where(deliveries.c.id == delivery, never_loaded)
        unopened = ~sa.exists().where(messages.c.delivery_id == delivery)
        with engine.begin() as connection:
            for condition in (told, over & unopened):
                counted["delivered_rows"] += _delete(connection, delivery_rows, of_delivery, condition)
    return counted, []


def unused_keys(engine: sa.Engine, now: datetime, s: Settings) -> Done:  # noqa: ARG001 - a step takes them
    """Data keys that seal nothing any more, whoever has erased the last row."""
    counted: Counter[str] = Counter()
    with engine.begin() as connection:
        live = connection.scalars(sa.select(data_keys.c.institute).where(data_keys.c.wrapped.is_not(None)).distinct())
        for institute in live.all():
            if destroyed := destroy_unused(connection, institute):
                note = f"{destroyed} data keys destroyed: nothing was sealed by them any more"
                put_on_record(connection, institute, actor=BY_ITSELF, action=ACTION, subject="data_keys", note=note)
                counted["data_keys"] += destroyed
    return counted, []


def rejected_rows(engine: sa.Engine, now: datetime, s: Settings) -> Done:
    """Rows that the gate kept out, and the rows of receipts, which say the same."""
    day = clock.berlin(now).date() - timedelta(days=s.keep_files_days)
    over = sa.select(deliveries.c.id).where(deliveries.c.state.in_(DELIVERY_HAS_ENDED), deliveries.c.day < day)
    counted = Counter({"rejected_rows": _in_batches(engine, rejects, rejects.c.delivery_id.in_(over))})
    with engine.begin() as connection:
        connection.execute(
            sa.update(files)
            .where(files.c.receipt_at < now - timedelta(days=s.keep_outbox_days))
            .where(files.c.receipt.is_not(None), files.c.moving_from.is_(None))
            .values(receipt=sa.null())
        )
    return counted, []


def whole_deliveries(engine: sa.Engine, now: datetime, s: Settings) -> Done:
    """Deliveries whose last message ended so long ago, with everything that hangs on them."""
    limit = now - timedelta(days=s.keep_messages_days)
    with engine.connect() as connection:
        old = connection.scalars(
            sa.select(deliveries.c.id)
            .where(deliveries.c.state.in_(DELIVERY_HAS_ENDED), deliveries.c.day < clock.berlin(limit).date())
            .order_by(deliveries.c.id)
        ).all()
    counted: Counter[str] = Counter()
    for delivery in old:
        with engine.begin() as connection:
            of = sa.select(deliveries.c.institute).where(deliveries.c.id == delivery).with_for_update()
            institute = connection.scalar(of)
            if institute is None:  # another housekeeping was faster
                continue
            hold_exports(connection, institute)
            # No event comes in between what is asked now and what is removed.
            own = sa.select(messages.c.id).where(messages.c.delivery_id == delivery).order_by(messages.c.id)
            connection.execute(own.with_for_update())
            if not _is_needed(connection, delivery, limit, clock.berlin(now).date()):
                counted += _remove(connection, delivery)
    return counted, []


def _is_needed(connection: sa.Connection, delivery: int, limit: datetime, today: date) -> bool:
    own = messages.c.delivery_id == delivery
    young = messages.c.state.not_in(MESSAGE_HAS_ENDED) | (messages.c.ended_at >= limit)
    blocking = sa.select(contacts.c.id).join(messages, messages.c.id == contacts.c.message_id)
    needs = (
        sa.select(messages.c.id).where(own, young),
        blocking.where(own, contacts.c.blocked_until >= today),
        waiting(own),
        sa.select(claims.c.fence).where(claims.c.delivery_id == delivery),
    )
    return any(connection.execute(one.limit(1)).first() is not None for one in needs)


def _remove(connection: sa.Connection, delivery: int) -> Counter[str]:
    """Remove a delivery. Who is retained by bounces of it stays barred: the series is derived from what goes here."""
    _bar_retained(connection, delivery)
    own = sa.select(messages.c.id).where(messages.c.delivery_id == delivery)
    events = sa.select(responses.c.id).where(responses.c.message_id.in_(own))
    counted = Counter({"deliveries": 1})
    _delete(connection, feedback_rows, feedback_rows.c.response_id.in_(events))
    _delete(connection, return_mails, return_mails.c.message_id.in_(own))
    counted["responses"] = _delete(connection, responses, responses.c.message_id.in_(own))
    counted["hits"] = _delete(connection, hits, hits.c.message_id.in_(own))
    counted["emma_events"] = _delete(connection, emma_events, emma_events.c.message_id.in_(own))
    counted["contacts"] = _delete(connection, contacts, contacts.c.message_id.in_(own))
    _keep_unsubscribe_links(connection, delivery)
    connection.execute(_NOTE_LAST_MENTION, {"delivery": delivery})
    _delete(connection, prepared_rows, prepared_rows.c.message_id.in_(own))
    counted["messages"] = _delete(connection, messages, messages.c.delivery_id == delivery)
    for table in _OF_A_DELIVERY:
        _delete(connection, table, table.c.delivery_id == delivery)
    _delete(connection, deliveries, deliveries.c.id == delivery)
    return counted


def _keep_unsubscribe_links(connection: sa.Connection, delivery: int) -> None:
    """Whom the links of mails that went out mean is kept, by the hash of the address: they go on working."""
    of = messages.c
    gone = sa.select(of.id, of.institute, of.order_id, of.recipient_key).where(
        of.delivery_id == delivery, of.begun_at.is_not(None)
    )
    connection.execute(sa.insert(past_messages).from_select(["id", "institute", "order_id", "recipient_key"], gone))


def _bar_retained(connection: sa.Connection, delivery: int) -> None:
    bounced = connection.execute(
        sa.select(messages.c.institute, messages.c.recipient_key)
        .join(responses, responses.c.message_id == messages.c.id)
        .where(messages.c.delivery_id == delivery, responses.c.kind == EventKind.BOUNCED_HARD)
    ).all()
    if not bounced:
        return
    institute = bounced[0].institute
    lengths = series(connection, institute, {row.recipient_key for row in bounced})
    rows = [
        {
            "institute": institute,
            "kind": SuppressionKind.BLACKLISTED,
            "recipient_key": address,
            "source": SuppressionSource.BOUNCE,
            "since": clock.now(),
        }
        for address, length in lengths.items()
        if length >= RETAINED_AT
    ]
    if rows:
        connection.execute(insert(suppressions).values(rows).on_conflict_do_nothing())


def the_rest(engine: sa.Engine, now: datetime, s: Settings) -> Done:
    """Everything that is over by itself: contacts, appointments, records of what was done by hand."""
    today, limit = clock.berlin(now).date(), now - timedelta(days=s.keep_messages_days)
    audited = now - timedelta(days=s.keep_audit_days)
    files_in_use = sa.union(
        sa.select(deliveries.c.file_id).where(deliveries.c.file_id.is_not(None)), sa.select(control_files.c.file_id)
    )
    due: dict[str, tuple[sa.Table, Sequence[sa.ColumnElement[bool]]]] = {
        "contacts": (
            contacts,
            (
                contacts.c.message_id.is_(None),
                contacts.c.day < clock.berlin(limit).date(),
                contacts.c.blocked_until < today,
            ),
        ),
        "appointments": (appointments, (appointments.c.day < today - timedelta(days=MOST_DAYS_AFTER),)),
        "reactivations": (reactivations, (reactivations.c.at < limit, ~_has_mail_before(reactivations))),
        "files": (
            files,
            (files.c.received_at < limit, files.c.moving_from.is_(None), files.c.id.not_in(files_in_use)),
        ),
        "file_tries": (file_tries, (file_tries.c.last_at < limit,)),
        "response_files": (
            feedback_files,
            (
                feedback_files.c.written_at < limit,
                ~sa.exists().where(feedback_rows.c.file_id == feedback_files.c.id),
            ),
        ),
        "prepared_files": (
            prepared_files,
            (prepared_files.c.erased_at < limit, prepared_files.c.delivery_id.is_(None)),
        ),
        "told_in_bap": (told_in_bap, (told_in_bap.c.last_day < today,)),
        "emma_events": (emma_events, (emma_events.c.noted_at < limit, emma_events.c.message_id.is_(None))),
        "audit": (audit, (audit.c.at < audited,)),
        "stops": (stops, (stops.c.lifted_at < audited,)),
        # by the database's own clock, as they are written; a domain may name its owner
        "rate_limits": (
            rate_limits,
            (rate_limits.c.next_at < sa.func.clock_timestamp() - timedelta(days=1), rate_limits.c.domain != ""),
        ),
    }
    return Counter({name: _in_batches(engine, table, *which) for name, (table, which) in due.items()}), []


def _has_mail_before(reactivation: sa.Table) -> sa.ColumnElement[bool]:
    """Whether the ledger still has a mail that the reactivation forgives."""
    return sa.exists().where(
        messages.c.institute == reactivation.c.institute,
        messages.c.recipient_key == reactivation.c.recipient_key,
        messages.c.begun_at <= reactivation.c.at,
    )


def forgotten_people(engine: sa.Engine, now: datetime, s: Settings) -> Done:
    """People of lists, so long after the last delivery or mail about them as their bank wants it."""
    with engine.connect() as connection:
        present = connection.scalars(sa.select(lists.c.institute).distinct().order_by(lists.c.institute)).all()
    banks, counted, problems = institutes(), Counter[str](), list[str]()
    for institute in present:
        try:
            bank = banks.get(institute)
        except ConfigError as error:  # nobody leaves for a wish that cannot be read
            problems.append(f"people of lists of {institute}: {error}")
            continue
        own = bank.keep_subscribers_days if bank else None
        days = s.keep_subscribers_days if own is None else own
        if days is not None:
            forgotten = _forgotten(now - timedelta(days=days))
            counted["subscribers"] += _in_batches(engine, subscribers, subscribers.c.institute == institute, forgotten)
    return counted, problems


def _forgotten(limit: datetime) -> sa.ColumnElement[bool]:
    """People whom no delivery of their list has named, and nobody has written to or wants to, since then."""
    named = (
        sa.select(messages.c.id)
        .join(deliveries, deliveries.c.id == messages.c.delivery_id)
        .where(
            deliveries.c.list_id == subscribers.c.list_id,
            messages.c.person_number == subscribers.c.person_number,
            sa.or_(messages.c.state.not_in(MESSAGE_HAS_ENDED), messages.c.ended_at >= limit),
        )
    )
    return (subscribers.c.updated_at < limit) & ~named.exists()


_NOTE_LAST_MENTION = sa.text("""
    UPDATE reku.subscribers AS person SET updated_at = gone.ended_at
    FROM (
        SELECT d.list_id, m.person_number, max(m.ended_at) AS ended_at
        FROM reku.messages m JOIN reku.deliveries d ON d.id = m.delivery_id
        WHERE d.id = :delivery GROUP BY 1, 2
    ) AS gone
    WHERE person.list_id = gone.list_id AND person.person_number = gone.person_number
        AND person.updated_at < gone.ended_at
""")
"""A bank may keep its people for longer than its messages: what these say of when they were named stays with them."""


def _in_batches(engine: sa.Engine, table: sa.Table, *which: sa.ColumnElement[bool]) -> int:
    place: sa.ColumnElement[Any] = sa.literal_column("ctid")
    total = 0
    while True:
        some = sa.select(place).select_from(table).where(*which).limit(BATCH).with_for_update(skip_locked=True)
        with engine.begin() as connection:
            gone = _delete(connection, table, place.in_(some))
        total += gone
        if gone < BATCH:
            return total


def _delete(connection: sa.Connection, table: sa.Table, *which: sa.ColumnElement[bool]) -> int:
    done: sa.CursorResult[Any] = connection.execute(sa.delete(table).where(*which))
    return done.rowcount
