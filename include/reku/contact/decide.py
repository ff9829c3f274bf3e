"""Decide in one statement whether people may be contacted now: those of a batch of messages, or candidates for some.

Told in docs/contact.md.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from reku.catalogue.contact import Flags, UnsubscribeComparison
from reku.contact import statement
from reku.contact.candidates import Candidate, candidates, with_candidates
from reku.contact.policy import Policy
from reku.contact.reasons import EVERY_REASON, Reason, in_order, reasons_against
from reku.contact.rivals import contests, kept_back
from reku.contact.statement import Asked
from reku.foundation.addresses import normalised
from reku.store.bounce_series import RETAINED_AT, series
from reku.store.tables import EVERY_INSTITUTE, barred_domains, delivery_rows, messages

Against = dict[int, tuple[Reason, ...]]
"""Message → what speaks against it, in order of precedence. A message that may go out is not among them."""

Found = dict[int, set[str]]
"""Message → names of what speaks against it."""


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
    return _against(connection, policy, Asked.MESSAGES, ids, day, barred_by)


def reasons_of_candidates(
    connection: sa.Connection, policy: Policy, order: int, people: Sequence[Candidate], day: date
) -> Against:
    """Everything that speaks against a message of an order (id) to each of these people, by the place in `people`.

    A candidate competes with the open messages of other orders as its message would.
    """
    if not people:
        return {}
    with with_candidates(connection, policy.institute, order, people) as ids:
        against = _against(connection, policy, Asked.CANDIDATES, ids, day, EVERY_REASON)
    return {id_ - ids.start: reasons for id_, reasons in against.items()}


def _against(
    connection: sa.Connection,
    policy: Policy,
    asked: Asked,
    ids: Collection[int],
    day: date,
    barred_by: frozenset[Reason],
) -> Against:
    found, contested = _own_reasons(connection, policy, asked, ids, day)
    if contested:
        met = contests(connection, policy, asked, contested)
        others = {one.id for contest in met for one in contest} - set(ids)
        of_others = _own_reasons(connection, policy, Asked.MESSAGES, others, day)[0]
        barred = _barred(found, barred_by) | _barred_on_their_channels(connection, of_others)
        for id_ in kept_back(met, barred).intersection(contested):
            found.setdefault(id_, set()).add(Reason.ANDERE_KAMPAGNE.value)
    against = {id_: in_order(frozenset(names & barred_by)) for id_, names in found.items()}
    return {id_: reasons for id_, reasons in against.items() if reasons}


def _barred(found: Found, barred_by: frozenset[Reason]) -> set[int]:
    return {id_ for id_, names in found.items() if names & barred_by}


def _barred_on_their_channels(connection: sa.Connection, found: Found) -> set[int]:
    """Those of the messages that do not go out, each by the reasons that bar its own channel."""
    if not found:
        return set()
    channels = connection.execute(sa.select(messages.c.id, messages.c.channel).where(_one_of(found)))
    return {id_ for id_, channel in channels if found[id_] & reasons_against(channel)}


def barred_among(
    connection: sa.Connection, policy: Policy, ids: Collection[int], barred_by: frozenset[Reason] = EVERY_REASON
) -> set[int]:
    """Those of the messages whose person has unsubscribed, complained or been blacklisted by now."""
    found = _found(connection, policy, Asked.MESSAGES, statement.BARRED, ids, date.min)
    return {id_ for id_, names in found.items() if names & barred_by}


def _own_reasons(
    connection: sa.Connection, policy: Policy, asked: Asked, ids: Collection[int], day: date
) -> tuple[Found, set[int]]:
    """What speaks against each message by itself, and which messages somebody else's may have to go before."""
    wanted = statement.decisive(
        asked,
        contacts=bool(policy.rules.blocking_days),
        appointments=policy.rules.has_appointment_days,
        imported=policy.imported,
    )
    found = _found(connection, policy, asked, wanted, ids, day)
    contested = _take(found, statement.CONTESTED)
    return {id_: names for id_, names in found.items() if names}, contested


def _found(
    connection: sa.Connection, policy: Policy, asked: Asked, wanted: sa.TextClause, ids: Collection[int], day: date
) -> Found:
    """What a statement of this room finds; what it could only ask about addresses is answered."""
    if not ids:
        return {}
    found = {row.id: set(row.reasons) for row in connection.execute(wanted, _parameters(policy, ids, day))}
    table = messages if asked is Asked.MESSAGES else candidates
    if bounced := _take(found, statement.BOUNCED):
        for id_ in _retained(connection, policy.institute, table, bounced):
            found[id_].add(Reason.ZURUECKGEHALTEN.value)
    if foreign := _take(found, statement.FOREIGN):
        for id_ in _in_barred_domain(connection, policy.institute, foreign):
            found[id_].add(Reason.BLACKLIST.value)
    return {id_: names for id_, names in found.items() if names}


def _take(found: Found, question: str) -> set[int]:
    """Take a question out of what was found; returns the messages that it is about."""
    about = {id_ for id_, names in found.items() if question in names}
    for id_ in about:
        found[id_].remove(question)
    return about


def _retained(connection: sa.Connection, institute: str, table: sa.Table, ids: Collection[int]) -> set[int]:
    """Those of the messages, or candidates, whose address has had too many hard bounces in a row."""
    rows = connection.execute(sa.select(table.c.id, table.c.recipient_key).where(_one_of(ids, table))).all()
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


def _one_of(ids: Collection[int], table: sa.Table = messages) -> sa.ColumnElement[bool]:
    return table.c.id == sa.any_(sa.cast(list(ids), ARRAY(sa.BigInteger)))


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
        "estate_bars": policy.estate_bars,
        "refusing": policy.refusing,
        "cap_contacts": rules.at_most and rules.at_most.contacts,
        "cap_days": rules.at_most and rules.at_most.days,
        "days_before": rules.appointment_days or 0,
        "days_after": rules.appointment_days_after or 0,
        **policy.campaign_arrays(),
    }


def _pairs(flags: Flags) -> list[str]:
    """Each field with each of its values, as JSON that the fields of a row may contain."""
    return [json.dumps({name: value}) for name, values in flags.items() for value in values]
