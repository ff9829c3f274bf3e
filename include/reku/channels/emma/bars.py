"""Who may not be written to, told to EMMA and taken over from there: unsubscribes of ours, and retained addresses."""

from __future__ import annotations

from datetime import date, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.catalogue.institute import Institute
from reku.channels.emma.answers import RetainedAddresses
from reku.channels.emma.client import EmmaClient
from reku.channels.emma.importing import check_fields
from reku.channels.emma.rows import KEY, message_key
from reku.foundation import addresses, clock
from reku.store.kinds import SuppressionKind, SuppressionSource
from reku.store.states import with_states
from reku.store.tables import emma_events, suppressions

CARRIED = "optoutRecipientById"
"""The call by which a bar of ours is carried over; what was carried stands under it in `emma_events`."""
_TO_CARRY = with_states("""
    SELECT DISTINCT ON (s.id) s.id, m.id AS message, d.order_number, d.delivery_number, m.reference
    FROM reku.suppressions s
    JOIN reku.messages m ON m.institute = s.institute AND m.channel = 'emma'
        AND (m.recipient_key = s.recipient_key OR (s.person_number <> '' AND m.person_number = s.person_number))
        AND (s.order_id IS NULL OR m.order_id = s.order_id)
    JOIN reku.deliveries d ON d.id = m.delivery_id
    WHERE s.institute = :institute AND m.state IN {MAY_BE_WITH_THE_PERSON}
        AND NOT EXISTS (
            SELECT FROM reku.emma_events e
            WHERE e.institute = s.institute AND (
                (e.call = 'optoutRecipientById' AND (e.raw->>'suppression')::bigint = s.id)
                OR (e.call = 'getOptouts' AND e.message_id = m.id)
            )
        )
    ORDER BY s.id, m.id DESC
""")
"""Bars of people whom EMMA has from us, with their newest keys; none that came from there or was carried there."""


def carry_bars(engine: sa.Engine, bank: Institute, client: EmmaClient) -> int:
    """Have EMMA unsubscribe everybody who is barred here and whom it has from us. Returns how many bars were carried.

    Told twice, EMMA has it twice: it does no harm, so a lost answer is made up for by telling it again.
    """
    with engine.connect() as connection:
        rows = connection.execute(_TO_CARRY, {"institute": bank.blz}).all()
    if not rows:
        return 0
    field = check_fields(client)[KEY]
    for row in rows:
        key = message_key(row.order_number, row.delivery_number, row.reference)
        for person in client.ask("getRecipientIdsByFieldIdAndValue", list[int], fieldId=field, value=key):
            client.ask(CARRIED, bool, recipientId=person)
        with engine.begin() as connection:
            connection.execute(
                insert(emma_events)
                .values(
                    institute=bank.blz,
                    call=CARRIED,
                    digest=addresses.key_of_person(bank.blz, f"{CARRIED} {row.id}"),
                    message_id=row.message,
                    at=clock.now(),
                    raw={"suppression": row.id},
                    noted_at=clock.now(),
                )
                .on_conflict_do_nothing()
            )
    return len(rows)


def take_retained(engine: sa.Engine, bank: Institute, client: EmmaClient) -> int:
    """Bar the addresses that EMMA retains, of this month and the last. Returns how many were not barred here."""
    today = clock.berlin(clock.now()).date()
    this_month = today.replace(day=1)
    last_month = (this_month - timedelta(days=1)).replace(day=1)
    found = [*_retained(client, last_month, this_month - timedelta(days=1)), *_retained(client, this_month, today)]
    rows = [
        {
            "institute": bank.blz,
            "kind": SuppressionKind.BLACKLISTED,
            "recipient_key": key,
            "source": SuppressionSource.BOUNCE,
            "since": clock.now(),
        }
        for key in sorted({addresses.address_hmac(bank.blz, one) for one in found})
    ]
    if not rows:
        return 0
    with engine.begin() as connection:
        adding = insert(suppressions).on_conflict_do_nothing().returning(suppressions.c.id)
        return len(connection.scalars(adding, rows).all())


def _retained(client: EmmaClient, first: date, last: date) -> list[str]:
    """The addresses of a window; one that holds more than a call gives is halved."""
    given = {"lastHardBounceFrom": first.isoformat(), "lastHardBounceTo": last.isoformat()}
    answer = client.ask("getRetainedEmailAddresses", RetainedAddresses, **given)
    if answer.total > len(answer.data) and first < last:
        middle = first + (last - first) // 2
        return [*_retained(client, first, middle), *_retained(client, middle + timedelta(days=1), last)]
    return [one.address for one in answer.data if _is_address(one.address)]


def _is_address(text: str) -> bool:
    try:
        addresses.normalise(text)
    except ValueError:
        return False
    return True
