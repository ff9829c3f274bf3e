"""The ledger of a cooperative bank, put straight into the database: people who are imported, and messages to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from reku.foundation import clock
from reku.store import tables
from reku.vault import numbers
from reku.vault.pseudonyms import NumberKind, pseudonymiser
from reku_testing.world import BLZ


def import_people(engine: sa.Engine, count: int, *, first: int = 1) -> list[str]:
    """So many people, numbered from `first`, with their clear numbers sealed. Returns their pseudonyms in order."""
    with engine.begin() as connection:
        pseudonym = pseudonymiser(connection, BLZ)
        clear = [f"{number:010d}" for number in range(first, first + count)]
        named = {pseudonym(NumberKind.PERSON, number): number for number in clear}
        numbers.keep(connection, BLZ, named, clock.today())
        known = {"consent": True, "tracking": False, "estate": False, "flags": [], "household_rank": 1}
        rows = [{"institute": BLZ, "person_number": name, "household": name} | known for name in named]
        connection.execute(sa.insert(tables.persons), rows)
    return list(named)


def messages(engine: sa.Engine, delivery: int, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Messages of a delivery, one for each of `rows` (person_number, channel, state, … as they differ). Their ids."""
    with engine.begin() as connection:
        of = connection.execute(sa.select(tables.deliveries).where(tables.deliveries.c.id == delivery)).one()
        start = connection.scalar(sa.select(sa.func.count()).where(tables.messages.c.delivery_id == delivery)) or 0
        common = {
            "institute": of.institute,
            "order_id": of.order_id,
            "delivery_id": delivery,
            "delivery_number": of.delivery_number,
            "occasion_date": date(2026, 11, 24),
            "consent": True,
            "tracking": False,
            "due_at": clock.at(clock.today(), 9),
            "last_day": clock.today(),
        }
        made = []
        for number, row in enumerate(rows, start + 1):
            own = {"reference": f"{of.order_number}-{delivery:06d}-{number:05d}", "recipient_key": f"{number:064d}"}
            insert = sa.insert(tables.messages).values(common | own | row).returning(tables.messages.c.id)
            made.append(connection.execute(insert).scalar_one())
    return made
