"""Decide for a batch of messages, in one statement, whether each person may be contacted now (docs/contact.md)."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from reku.catalogue.contact import Flags, UnsubscribeComparison
from reku.contact import statement
from reku.contact.policy import Policy
from reku.contact.reasons import Reason, in_order
from reku.contact.rivals import contests, kept_back
from reku.foundation.addresses import normalised
from reku.store.bounce_series import RETAINED_AT, series
from reku.store.tables import EVERY_INSTITUTE, barred_domains, delivery_rows, messages

Against = dict[int, tuple[Reason, ...]]
"""Message → what speaks against it, in order of precedence. A message that may go out is not among them."""

Found = dict[int, set[str]]
"""Message → names of what speaks against it."""


EVERY_REASON = frozenset(Reason)


def reasons(
    connection: sa.Connection,
    policy: Policy,
    ids: Collection[int],
    day: date,
    barred_by: frozenset[Reason] = EVERY_REASON,
) -> Against:
    """Everything of `barred_by` that speaks against messages `ids` of one bank on that Berlin day.

    Runs in the caller's transaction, so that nothing comes between the decision and the claim. The one thing it
    cannot see, a second row for the same person in the same batch, is caught by the ledger's unique indexes.
    """
    found, contested = _own_reasons(connection, policy, ids, day)
    if contested:
        met = contests(connection, policy, contested)
        others = {one.id for contest in met for one in contest} - set(ids)
        barred = found.keys() | _own_reasons(connection, policy, others, day)[0].keys()
        for id_ in kept_back(met, barred).intersection(contested):
            found.setdefault(id_, set()).add(Reason.ANDERE_KAMPAGNE.value)
    against = {id_: in_order(frozenset(names & barred_by)) for id_, names in found.items()}
    return {id_: reasons for id_, reasons in against.items() if reasons}


def barred_among(
    connection: sa.Connection, policy: Policy, ids: Collection[int], barred_by: frozenset[Reason] = EVERY_REASON
) -> set[int]:
    """Those of the messages whose person has unsubscribed, complained or been blacklisted by now."""
    found = _found(connection, policy, statement.BARRED, ids, date.min)
    return {id_ for id_, names in found.items() if names & barred_by}


def _own_reasons(connection: sa.Connection, policy: Policy, ids: Collection[int], day: date) -> tuple[Found, set[int]]:
    """What speaks against each message by itself, and which messages somebody else's may have to go before."""
    rules = policy.rules
    asked = statement.decisive(contacts=bool(rules.blocking_days), appointments=rules.appointment_days is not None)
    found = _found(connection, policy, asked, ids, day)
    contested = _take(found, statement.CONTESTED)
    return {id_: names for id_, names in found.items() if names}, contested


def _found(connection: sa.Connection, policy: Policy, asked: sa.TextClause, ids: Collection[int], day: date) -> Found:
    """What a statement of this room finds; what it could only ask about addresses is answered."""
    if not ids:
        return {}
    found = {row.id: set(row.reasons) for row in connection.execute(asked, _parameters(policy, ids, day))}
    for question, holds, reason in (
        (statement.BOUNCED, _retained, Reason.ZURUECKGEHALTEN),
        (statement.FOREIGN, _in_barred_domain, Reason.BLACKLIST),
    ):
        about = _take(found, question)
        for id_ in holds(connection, policy.institute, about) if about else ():
            found[id_].add(reason.value)
    return {id_: names for id_, names in found.items() if names}


def _take(found: Found, question: str) -> set[int]:
    """Take a question out of what was found; returns the messages that it is about."""
    about = {id_ for id_, names in found.items() if question in names}
    for id_ in about:
        found[id_].remove(question)
    return about


def _retained(connection: sa.Connection, institute: str, ids: Collection[int]) -> set[int]:
    """Those of the messages whose address has had too many hard bounces in a row."""
    rows = connection.execute(sa.select(messages.c.id, messages.c.recipient_key).where(_one_of(ids))).all()
    counted = series(connection, institute, sorted({row.recipient_key for row in rows}))
    return {row.id for row in rows if counted.get(row.recipient_key, 0) >= RETAINED_AT}


def _in_barred_domain(connection: sa.Connection, institute: str, ids: Collection[int]) -> set[int]:
    """Those of the messages whose address lies in a barred domain, however it is spelt."""
    rows = connection.execute(
        sa.select(messages.c.id, delivery_rows.c.address)
        .join(delivery_rows, delivery_rows.c.id == messages.c.row_id)
        .where(_one_of(ids))
    ).all()
    barred = set(
        connection.scalars(
            sa.select(barred_domains.c.domain).where(barred_domains.c.institute.in_((institute, EVERY_INSTITUTE)))
        )
    )
    normal = normalised(row.address for row in rows)
    return {row.id for row in rows if normal.get(row.address, "").rpartition("@")[2] in barred}


def _one_of(ids: Collection[int]) -> sa.ColumnElement[bool]:
    return messages.c.id == sa.any_(sa.cast(list(ids), ARRAY(sa.BigInteger)))


def _parameters(policy: Policy, ids: Collection[int], day: date) -> dict[str, Any]:
    rules = policy.rules
    return {
        "ids": list(ids),
        "day": day,
        "everywhere": EVERY_INSTITUTE,
        "every_order": rules.unsubscribes is UnsubscribeComparison.GLOBAL,
        "active": list(rules.blocking_days),
        "estate": _pairs(rules.estate),
        "refusal": _pairs(rules.refusal),
        "cap_contacts": rules.at_most and rules.at_most.contacts,
        "cap_days": rules.at_most and rules.at_most.days,
        "appointment_days": rules.appointment_days,
        **policy.campaign_arrays(),
    }


def _pairs(flags: Flags) -> list[str]:
    """Each field with each of its values, as JSON that the fields of a row may contain."""
    return [json.dumps({name: value}) for name, values in flags.items() for value in values]
