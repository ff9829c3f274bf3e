"""Decide for a batch of messages, in one query, whether each person may be contacted now (DESIGN section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa

from reku.contact.reasons import Reason
from reku.store.bounce_series import RETAINED_AT, series
from reku.store.tables import HANDED_OVER, ResponseKind, SuppressionKind, messages, orders, responses, suppressions


def reasons(connection: sa.Connection, institute: str, ids: Sequence[int], day: date) -> dict[int, Reason]:
    """The reason against each of the messages `ids` on that Berlin day; a message that may go out is not in the answer.

    Runs in the caller's transaction, so that nothing comes between the decision and the claim. The one thing it
    cannot see, a second row for the same person in the same batch, is caught by the ledger's unique indexes.
    """
    if not ids:
        return {}
    decided: dict[int, Reason] = {}
    rows = connection.execute(_QUERY, {"ids": list(ids), "day": day}).all()
    retained = _retained(connection, institute, {row.address_hmac for row in rows if row.has_bounced})
    for row in rows:
        holds = {
            Reason.AUFTRAG_BEENDET: row.ended,
            Reason.ABGELAUFEN: row.expired,
            Reason.KEINE_EINWILLIGUNG: not row.consent,
            Reason.ABGEMELDET: SuppressionKind.UNSUBSCRIBED in row.barred,
            Reason.BESCHWERDELISTE: SuppressionKind.COMPLAINED in row.barred,
            Reason.BLACKLIST: SuppressionKind.BLACKLISTED in row.barred,
            Reason.ZURUECKGEHALTEN: row.address_hmac in retained,
            Reason.ADRESSE_UNGUELTIG: not row.mailable,
            Reason.DUBLETTE: row.written_to,
        }
        first = next((reason for reason in Reason if holds.get(reason)), None)  # a declined delivery is not asked about
        if first:
            decided[row.id] = first
    return decided


def _query() -> sa.Select[*tuple[object, ...]]:
    """What speaks, or may speak, against the messages `ids` on `day`; those that nothing speaks against are left out.

    Most people may be written to, so hardly anything has to be fetched.
    """
    ids, day = sa.bindparam("ids", type_=sa.ARRAY(sa.BigInteger)), sa.bindparam("day", type_=sa.Date)
    other = messages.alias("other")
    written_to = (
        sa.exists()
        .where(other.c.order_id == messages.c.order_id)
        .where(other.c.person_number == messages.c.person_number)
        .where(other.c.address_hmac == messages.c.address_hmac)
        .where(
            (other.c.occasion_date == messages.c.occasion_date)
            | (other.c.delivery_number == messages.c.delivery_number)
        )
        .where(other.c.id != messages.c.id)
        .where(other.c.state.in_(HANDED_OVER))
    )
    has_bounced = (
        sa.exists()
        .where(responses.c.message_id == other.c.id, responses.c.kind == ResponseKind.HBOU)
        .where(other.c.institute == messages.c.institute, other.c.address_hmac == messages.c.address_hmac)
    )
    barred = sa.select(sa.func.array_agg(suppressions.c.kind)).where(_concerns_message()).scalar_subquery()
    facts = (
        sa.select(
            messages.c.id,
            messages.c.address_hmac,
            messages.c.consent,
            messages.c.mailable,
            (messages.c.last_day < day).label("expired"),
            (orders.c.ended | sa.func.coalesce(orders.c.valid_until < day, sa.false())).label("ended"),
            sa.func.coalesce(barred, sa.cast([], sa.ARRAY(sa.Text))).label("barred"),
            written_to.label("written_to"),
            has_bounced.label("has_bounced"),
        )
        .join(orders, orders.c.id == messages.c.order_id)
        .where(messages.c.id == sa.any_(ids))
        .subquery()
    )
    of = facts.c
    plain = of.expired | of.ended | ~of.consent | ~of.mailable
    return sa.select(facts).where(plain | (sa.func.cardinality(of.barred) > 0) | of.written_to | of.has_bounced)


def _concerns_message() -> sa.ColumnElement[bool]:
    """Whether a suppression bars the message (correlated: a statement over `messages` supplies it)."""
    # Whoever changed the address after unsubscribing is still the same person: the number bars as well.
    return sa.and_(
        suppressions.c.institute == messages.c.institute,
        (suppressions.c.address_hmac == messages.c.address_hmac)
        | (
            (suppressions.c.person_number == messages.c.person_number)
            & (suppressions.c.person_number != "")
            & (suppressions.c.kind == SuppressionKind.UNSUBSCRIBED)
        ),
        (suppressions.c.order_id == messages.c.order_id) | suppressions.c.order_id.is_(None),
    )


_QUERY = _query()  # made once: it is asked for every batch


def is_barred() -> sa.ColumnElement[bool]:
    """Whether anything bars the message's address or person, as a condition for a statement over `messages`."""
    return sa.exists().where(_concerns_message()).correlate(messages)


def _retained(connection: sa.Connection, institute: str, hmacs: set[str]) -> set[str]:
    counted = series(connection, institute, sorted(hmacs)) if hmacs else {}
    return {address for address, length in counted.items() if length >= RETAINED_AT}
