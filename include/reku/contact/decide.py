"""Decide for a batch of messages, in one statement, whether each person may be contacted now (DESIGN section 6)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from reku.addresses import normalised
from reku.catalogue.contact import Comparison, ContactRules, Flags
from reku.contact import statement
from reku.contact.policy import Policy
from reku.contact.reasons import Reason, in_order
from reku.contact.rivals import contests, kept_back
from reku.store.bounce_series import RETAINED_AT, series
from reku.store.tables import barred_domains, delivery_rows, messages

Against = dict[int, tuple[Reason, ...]]
"""Message → what speaks against it, in order of precedence. A message that may go out is not among them."""

Found = dict[int, set[str]]
"""Message → names of what speaks against it."""


def reasons(connection: sa.Connection, policy: Policy, ids: Sequence[int], day: date) -> Against:
    """Everything that speaks against messages `ids` of one bank on that Berlin day.

    Runs in the caller's transaction, so that nothing comes between the decision and the claim. The one thing it
    cannot see, a second row for the same person in the same batch, is caught by the ledger's unique indexes.
    """
    if not ids:
        return {}
    found = _own_reasons(connection, policy, ids, day)
    if policy.rules.blocking_days:
        met = contests(connection, policy, ids)
        rivals = {one.id for contest in met for one in contest} - set(ids)
        barred = found.keys() | _own_reasons(connection, policy, sorted(rivals), day).keys()
        for id_ in kept_back(met, barred) - rivals:
            found.setdefault(id_, set()).add(Reason.ANDERE_KAMPAGNE.value)
    return {id_: in_order(names) for id_, names in found.items()}


def barred_among(connection: sa.Connection, policy: Policy, ids: Collection[int]) -> set[int]:
    """Those of the messages whose person has unsubscribed, complained or been blacklisted by now."""
    return set(_found(connection, policy, statement.BARRED, ids, date.min))


def _own_reasons(connection: sa.Connection, policy: Policy, ids: Collection[int], day: date) -> Found:
    """What speaks against each message by itself, whoever else is about to write to the person."""
    rules = policy.rules
    asked = statement.decisive(
        contacts=bool(rules.blocking_days),
        cap=rules.at_most is not None,
        appointments=rules.appointment_days is not None,
    )
    return _found(connection, policy, asked, ids, day)


def _found(connection: sa.Connection, policy: Policy, asked: sa.TextClause, ids: Collection[int], day: date) -> Found:
    """What a statement of this room finds, its questions answered."""
    if not ids:
        return {}
    found = {row.id: set(row.reasons) for row in connection.execute(asked, _parameters(policy, ids, day))}
    for question, holds, reason in (
        (statement.BOUNCED, _retained, Reason.ZURUECKGEHALTEN),
        (statement.FOREIGN, _in_barred_domain, Reason.BLACKLIST),
    ):
        about = [id_ for id_, names in found.items() if question in names]
        confirmed = holds(connection, policy.institute, about) if about else set()
        for id_ in about:
            found[id_].discard(question)
            if id_ in confirmed:
                found[id_].add(reason.value)
    return {id_: names for id_, names in found.items() if names}


def _retained(connection: sa.Connection, institute: str, ids: Collection[int]) -> set[int]:
    """Those of the messages whose address has had too many hard bounces in a row."""
    rows = connection.execute(sa.select(messages.c.id, messages.c.address_hmac).where(_one_of(ids))).all()
    counted = series(connection, institute, sorted({row.address_hmac for row in rows}))
    return {row.id for row in rows if counted.get(row.address_hmac, 0) >= RETAINED_AT}


def _in_barred_domain(connection: sa.Connection, institute: str, ids: Collection[int]) -> set[int]:
    """Those of the messages whose address lies in a barred domain, however it is spelt."""
    rows = connection.execute(
        sa.select(messages.c.id, delivery_rows.c.address)
        .join(delivery_rows, delivery_rows.c.id == messages.c.row_id)
        .where(_one_of(ids))
    ).all()
    barred = set(
        connection.scalars(
            sa.select(barred_domains.c.domain).where(
                barred_domains.c.institute.in_((institute, statement.EVERY_INSTITUTE))
            )
        )
    )
    normal = normalised(row.address for row in rows)
    return {row.id for row in rows if normal.get(row.address, "").rpartition("@")[2] in barred}


def _one_of(ids: Collection[int]) -> sa.ColumnElement[bool]:
    return messages.c.id == sa.any_(sa.cast(list(ids), ARRAY(sa.BigInteger)))


def _parameters(policy: Policy, ids: Collection[int], day: date) -> dict[str, Any]:
    rules = policy.rules
    estate, refusal = _pairs(rules.estate), _pairs(rules.refusal)
    return {
        "ids": list(ids),
        "day": day,
        "everywhere": statement.EVERY_INSTITUTE,
        "every_order": rules.unsubscribes is Comparison.GLOBAL,
        "active": list(rules.blocking_days),
        "estate_fields": estate[0],
        "estate_values": estate[1],
        "refusal_fields": refusal[0],
        "refusal_values": refusal[1],
        **policy.campaign_arrays(),
        **_limits(rules),
    }


def _limits(rules: ContactRules) -> dict[str, int]:
    limits: dict[str, int] = {}
    if rules.at_most is not None:
        limits |= {"cap_contacts": rules.at_most.contacts, "cap_days": rules.at_most.days}
    if rules.appointment_days is not None:
        limits |= {"appointment_days": rules.appointment_days}
    return limits


def _pairs(flags: Flags) -> tuple[list[str], list[str]]:
    pairs = [(field, value) for field, values in flags.items() for value in values]
    return [field for field, _ in pairs], [value for _, value in pairs]
