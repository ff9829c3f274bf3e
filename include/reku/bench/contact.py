"""Stage "contact": deciding for a whole delivery, against the bare join of the same people to the same tables.

Each side is one pass over all people. The bare join only counts the rows it meets; what decides has to look at what
they say, at the people's flags, at earlier mails and bounces, and at open mails of other campaigns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from reku.bench.world import BLZ, ORDER, World, world
from reku.catalogue.campaign import Campaign
from reku.catalogue.contact import Cap, ContactRules
from reku.contact.decide import reasons
from reku.contact.policy import Policy
from reku.foundation import clock
from reku.foundation.errors import SetupError
from reku.store.tables import messages

PEOPLE = 100_000
ROWS = 1_000_000
"""Suppressions, and as many contacts."""
AT_LEAST = 0.5
BARRED_SHARE = 0.1
"""Of the people; the other suppressions are of others. Each tenth contact is recent."""

_MEDIUM = "SCOM_GEBURTSTAG"
_POLICY = Policy(
    BLZ,
    ContactRules(
        refusal={"Werbesperre": ("J",)},
        estate={"Nachlass": ("J",)},
        blocking_days={_MEDIUM: 14},
        at_most=Cap(contacts=3, days=90),
        appointment_days=7,
    ),
    (
        Campaign.model_validate(
            {
                "order": ORDER,
                "name": "Runde Geburtstage",
                "active": True,
                "blocks": [
                    {"block": "start", "list": ORDER},
                    {"block": "wait", "until": "00:00"},
                    {"block": "send", "media": [_MEDIUM]},
                ],
            }
        ),
    ),
)
"""Every rule that a bank may have."""

_SUPPRESSIONS = sa.text("""
    INSERT INTO reku.suppressions (institute, kind, recipient_key, person_number, order_id, source, since)
    SELECT :blz, (ARRAY['UNSUBSCRIBED', 'UNSUBSCRIBED', 'UNSUBSCRIBED', 'COMPLAINED', 'BLACKLISTED'])[number % 5 + 1],
        encode(sha256(convert_to('person' || person || '.1@kunde.example', 'UTF8')), 'hex'),
        lpad(CAST(person AS text), 10, '0'), CASE WHEN number % 5 < 2 THEN CAST(:order AS bigint) END, 'LINK', :now
    FROM (SELECT number, number * :every AS person FROM generate_series(1, :rows) AS number) AS made
""")
_EARLIER = sa.text("""
    INSERT INTO reku.messages (institute, order_id, delivery_id, delivery_number, reference, person_number,
        recipient_key, occasion_date, consent, tracking, due_at, last_day, state, begun_at, ended_at)
    SELECT :blz, :order, :delivery, number, 'E' || number, lpad(CAST(person AS text), 10, '0'),
        encode(sha256(convert_to('person' || person || '.1@kunde.example', 'UTF8')), 'hex'),
        CAST(sent AS date) - number % 7, true, true, sent, CAST(sent AS date) + 2, 'SENT', sent, sent
    FROM (
        SELECT number, number % :others + 1 AS person, :now - (5 + number % 97 * 7) * interval '1 day' AS sent
        FROM generate_series(1, :rows) AS number
    ) AS made
""")
_CONTACTS = sa.text("""
    INSERT INTO reku.contacts (institute, person_number, message_id, medium, day, blocked_until, mandatory)
    SELECT institute, person_number, id, :medium, last_day - 2, last_day + 12, false
    FROM reku.messages WHERE state = 'SENT'
""")
_BARE_JOIN = sa.text("""
    SELECT
        (SELECT count(*) FROM reku.messages m
            JOIN reku.suppressions s ON s.institute = m.institute AND s.recipient_key = m.recipient_key
            WHERE m.id = ANY(CAST(:ids AS bigint[]))) AS by_address,
        (SELECT count(*) FROM reku.messages m
            JOIN reku.suppressions s ON s.institute = m.institute AND s.person_number = m.person_number
            WHERE m.id = ANY(CAST(:ids AS bigint[]))) AS by_person,
        (SELECT count(*) FROM reku.messages m
            JOIN reku.contacts c ON c.institute = m.institute AND c.person_number = m.person_number
            WHERE m.id = ANY(CAST(:ids AS bigint[]))) AS contacts
""")


def measure(rounds: int) -> dict[str, Any]:
    """The figure of this stage. Raises SetupError if what was decided cannot be true."""
    with world() as there:
        return figure(there.engine, build(there, PEOPLE, ROWS), rounds, ROWS)


def figure(engine: sa.Engine, ids: Sequence[int], rounds: int, rows: int) -> dict[str, Any]:
    """Both sides in turns, and the median of so many rounds; one before them only warms up."""
    ratios = []
    for number in range(rounds + 1):
        if number % 2:
            ours, bare = decide(engine, ids), join(engine, ids)
        else:
            bare, ours = join(engine, ids), decide(engine, ids)
        ratios.append(bare / ours)
    return {
        "stage": "contact",
        "what": f"everybody of a delivery decided, {rows} suppressions, {rows} contacts",
        "against": "the bare join of the same people to both tables, counting rows",
        "ratio": round(statistics.median(ratios[1:]), 2),
        "at_least": AT_LEAST,
        "rounds": rounds,
        "rows": len(ids),
    }


def build(there: World, people: int, rows: int) -> list[int]:
    """A delivery, and what is known of the bank's other people and earlier mails. Returns the messages to decide."""
    delivery, earlier = there.delivery(people), there.delivery(1)
    about = {"blz": BLZ, "rows": rows, "now": clock.now(), "every": round(1 / BARRED_SHARE)}
    with there.engine.begin() as connection:
        wanted = sa.select(messages.c.id).where(messages.c.delivery_id == delivery).order_by(messages.c.id)
        ids = list(connection.scalars(wanted))
        order = connection.scalar(sa.select(messages.c.order_id).limit(1))
        about |= {"order": order, "delivery": earlier, "others": 5 * people, "medium": _MEDIUM}
        for statement in (_SUPPRESSIONS, _EARLIER, _CONTACTS):
            connection.execute(statement, about)
    with there.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
    return ids


def decide(engine: sa.Engine, ids: Sequence[int]) -> float:
    """Seconds of one decision for all messages."""
    with engine.connect() as connection:
        begun = time.perf_counter()
        against = reasons(connection, _POLICY, ids, clock.today())
        seconds = time.perf_counter() - begun
    if not BARRED_SHARE / 2 < len(against) / len(ids) < 3 * BARRED_SHARE:
        raise SetupError(f"{len(against)} of {len(ids)} were withheld: the decision cannot be right, nor its speed.")
    return seconds


def join(engine: sa.Engine, ids: Sequence[int]) -> float:
    """Seconds of one bare join."""
    with engine.connect() as connection:
        begun = time.perf_counter()
        met = connection.execute(_BARE_JOIN, {"ids": list(ids)}).one()
        seconds = time.perf_counter() - begun
    if not (met.by_address and met.by_person and met.contacts):
        raise SetupError("The bare join has met nothing, so there is nothing to be held against.")
    return seconds
