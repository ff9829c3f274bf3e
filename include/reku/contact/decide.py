"""Decide for a batch of messages, in one statement, whether each person may be contacted now (DESIGN section 6)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from reku.catalogue.contact import Comparison, ContactRules, Flags
from reku.contact import statement
from reku.contact.policy import Policy
from reku.contact.reasons import Reason, in_order
from reku.contact.rivals import rivals_of
from reku.store.bounce_series import RETAINED_AT, series
from reku.store.tables import messages

Against = dict[int, tuple[Reason, ...]]
"""Message → what speaks against it, in order of precedence. A message that may go out is not among them."""


def reasons(connection: sa.Connection, policy: Policy, ids: Sequence[int], day: date) -> Against:
    """Everything that speaks against messages `ids` of one bank on that Berlin day.

    Runs in the caller's transaction, so that nothing comes between the decision and the claim. The one thing it
    cannot see, a second row for the same person in the same batch, is caught by the ledger's unique indexes.
    """
    found = _own_reasons(connection, policy, ids, day)
    if policy.rules.blocking_days:
        better = rivals_of(connection, policy, [id_ for id_ in ids if id_ not in found])
        kept_back = _own_reasons(connection, policy, sorted(set().union(*better.values())), day).keys()
        found |= {id_: (Reason.ANDERE_KAMPAGNE,) for id_, those in better.items() if those - kept_back}
    return found


def barred_among(connection: sa.Connection, policy: Policy, ids: Collection[int]) -> set[int]:
    """Those of the messages whose person has unsubscribed, complained or been blacklisted by now."""
    return {row.id for row in connection.execute(statement.BARRED, _parameters(policy, ids, date.min))}


def _own_reasons(connection: sa.Connection, policy: Policy, ids: Sequence[int], day: date) -> Against:
    """What speaks against each message by itself, whoever else is about to write to the person."""
    if not ids:
        return {}
    rules = policy.rules
    asked = statement.decisive(
        contacts=bool(rules.blocking_days),
        cap=rules.at_most is not None,
        appointments=rules.appointment_days is not None,
    )
    found = {row.id: set(row.reasons) for row in connection.execute(asked, _parameters(policy, ids, day))}
    bounced = [id_ for id_, names in found.items() if statement.BOUNCED in names]
    retained = _retained(connection, policy.institute, bounced)
    for id_ in bounced:
        found[id_].discard(statement.BOUNCED)
        if id_ in retained:
            found[id_].add(Reason.ZURUECKGEHALTEN.value)
    return {id_: in_order(names) for id_, names in found.items() if names}


def _retained(connection: sa.Connection, institute: str, ids: Collection[int]) -> set[int]:
    """Those of the messages whose address has had too many hard bounces in a row."""
    if not ids:
        return set()
    rows = connection.execute(sa.select(messages.c.id, messages.c.address_hmac).where(messages.c.id.in_(ids))).all()
    counted = series(connection, institute, sorted({row.address_hmac for row in rows}))
    return {row.id for row in rows if counted.get(row.address_hmac, 0) >= RETAINED_AT}


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
