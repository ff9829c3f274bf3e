"""Contacts with active media: kept from being made twice at once, and put on record.

Told in docs/contact.md, "Blocking periods".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import sqlalchemy as sa

from reku.contact.policy import Policy
from reku.store.locks import Lock, lock_until_commit

_RESERVE = sa.text("""
    INSERT INTO reku.contacts (institute, person_number, message_id, medium, day, blocked_until, mandatory)
    SELECT m.institute, m.person_number, m.id, told.medium, :day, told.blocked_until, :mandatory
    FROM unnest(CAST(:ids AS bigint[]), CAST(:media AS text[]), CAST(:until AS date[]))
        AS told(id, medium, blocked_until)
    JOIN reku.messages m ON m.id = told.id
    ON CONFLICT (message_id) DO UPDATE SET
        medium = EXCLUDED.medium, day = EXCLUDED.day, blocked_until = EXCLUDED.blocked_until,
        mandatory = EXCLUDED.mandatory
""")


def lock_people(connection: sa.Connection, policy: Policy) -> None:
    """Let nobody else decide about the bank's people until this transaction ends.

    Two occasions that want to write to one person at the same moment decide one after the other, and the second one
    sees what the first has reserved. One lock for the whole bank: a lock for each person would need thousands at once,
    more than a server as installed can keep. Does nothing for a bank without blocking periods.
    """
    if policy.rules.blocking_days:
        lock_until_commit(connection, Lock.PEOPLE, int(policy.institute))


def reserve(connection: sa.Connection, policy: Policy, media: Mapping[int, str], day: date, *, mandatory: bool) -> None:
    """Put contacts on record for claimed messages (id → key of the medium); only active media are kept.

    Whether a contact counts is told by its message: reserved while it is claimed, confirmed when it was sent (or is in
    doubt), void when it ended otherwise or is open again. Nothing has to be freed, so nothing can be forgotten.
    """
    kept = {id_: key for id_, key in media.items() if key in policy.rules.blocking_days}
    if not kept:
        return
    until = [day + timedelta(days=policy.rules.blocking_days[key]) for key in kept.values()]
    connection.execute(
        _RESERVE,
        {"ids": list(kept), "media": list(kept.values()), "until": until, "day": day, "mandatory": mandatory},
    )
