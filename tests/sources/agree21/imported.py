"""Imported people, impulses and imports in the tables, as if their files had been taken in."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import sqlalchemy as sa

from reku.foundation import clock
from reku.store import tables
from reku.store.kinds import SealedKind
from reku.store.states import DeliveryState
from reku.vault.day_keys import seal_of_day
from reku_testing import world
from reku_testing.steps import allow_any_step
from reku_testing.world import BLZ


def recipient_key(person: str) -> str:
    """The HMAC of a person's one mail address, as it were."""
    return hashlib.sha256(person.encode()).hexdigest()


def add_person(connection: sa.Connection, person: str, **values: Any) -> None:
    """A person with consent and one mail address."""
    row = {
        "institute": BLZ,
        "person_number": person,
        "household": person,
        "household_rank": 1,
        "salutation": "2",
        "consent": True,
        "tracking": False,
        "estate": False,
        "flags": [],
    }
    connection.execute(sa.insert(tables.persons).values(row | values))
    seal = seal_of_day(connection, BLZ, SealedKind.ADDRESS, clock.today())
    connection.execute(
        sa.insert(tables.person_addresses).values(
            institute=BLZ,
            person_number=person,
            recipient_key=recipient_key(person),
            domain="kunde.example",
            digest="",
            data_key_id=seal.id,
            sealed=seal.seal(person, b'{"EMail":"a@kunde.example","Nachname":"Test"}'),
        )
    )


def note_import(engine: sa.Engine, kind: str = "IDA_KUNDEN") -> None:
    """An import of now that says nothing but that it was."""
    counts = ("rows", "taken", "rejected", "orphans", "known_before", "added", "changed", "gone", "known_after")
    file = world.file(engine, institute=BLZ)
    with engine.begin() as connection:
        now = clock.now()
        told = {"institute": BLZ, "file_id": file, "kind": kind, "data_at": now, "taken_at": now, "delta": False}
        connection.execute(sa.insert(tables.imports).values(told | {"filled": {}} | dict.fromkeys(counts, 0)))


def end(connection: sa.Connection, delivery: int, state: str, reason: str = "") -> None:
    """Load the selected rows of a delivery, and let their messages end so."""
    of = connection.execute(sa.select(tables.deliveries).where(tables.deliveries.c.id == delivery)).one()
    for row in connection.execute(
        sa.select(tables.selected_rows).where(tables.selected_rows.c.delivery_id == delivery)
    ).all():
        add_message(connection, of, row.person_number, row.occasion_date, state=state, reason=reason)
    finish(connection, delivery, DeliveryState.LOADED)


def finish(connection: sa.Connection, delivery: int, state: DeliveryState) -> None:
    """Let a delivery wait for nothing any more; its selected rows go."""
    allow_any_step(connection)
    connection.execute(sa.delete(tables.selected_rows).where(tables.selected_rows.c.delivery_id == delivery))
    connection.execute(sa.update(tables.deliveries).where(tables.deliveries.c.id == delivery).values(state=state))


def add_message(connection: sa.Connection, delivery: Any, person: str, occasion_date: date, **values: Any) -> None:
    """A message of a delivery (its row), withheld unless told otherwise."""
    row = {
        "institute": BLZ,
        "order_id": delivery.order_id,
        "delivery_id": delivery.id,
        "delivery_number": delivery.delivery_number,
        "reference": f"{delivery.id}-{person}",
        "person_number": person,
        "recipient_key": "0" * 64,
        "occasion_date": occasion_date,
        "consent": True,
        "tracking": False,
        "due_at": clock.now(),
        "last_day": clock.today(),
        "state": "WITHHELD",
    }
    connection.execute(sa.insert(tables.messages).values(row | values))
