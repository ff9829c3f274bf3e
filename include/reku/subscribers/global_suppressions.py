"""Addresses that are barred everywhere, met at a bank that may not have existed when they were barred."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from reku.foundation import addresses
from reku.store.tables import EVERY_INSTITUTE, suppressions


def bar_here_too(connection: sa.Connection, institute: str, normal: Collection[str]) -> int:
    """Bar at this institute those of the normalised addresses that are barred everywhere. Returns how many.

    The ledger's hashes differ from bank to bank, so that nobody can be followed from one to another; therefore a bar
    for all banks becomes one of this bank when the address is delivered.
    """
    everywhere = suppressions.c.institute == EVERY_INSTITUTE
    if not connection.scalar(sa.select(sa.exists().where(everywhere))):
        return 0
    hashed = {addresses.keyed(EVERY_INSTITUTE, address): address for address in normal}
    listed = sa.any_(sa.cast(list(hashed), ARRAY(sa.Text)))
    rows = connection.execute(
        sa.select(suppressions.c.recipient_key, suppressions.c.kind, suppressions.c.source, suppressions.c.since).where(
            everywhere, suppressions.c.recipient_key == listed
        )
    ).all()
    if not rows:
        return 0
    barred = [
        {
            "institute": institute,
            "kind": row.kind,
            "recipient_key": addresses.keyed(institute, hashed[row.recipient_key]),
            "source": row.source,
            "since": row.since,
        }
        for row in rows
    ]
    new = insert(suppressions).values(barred).on_conflict_do_nothing().returning(suppressions.c.id)
    return len(connection.scalars(new).all())
