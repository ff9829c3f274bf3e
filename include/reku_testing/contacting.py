"""What tests of the room `contact` share: a bank with rules of its own, messages to its people, reasons against them.

Orders are named by what they are about. Their occasions differ in priority, as shipped: `LOAN` is more important than
`BIRTHDAY` and `PARTY` (the same), and these than `ACCOUNT`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.channels.email.channel import EMAIL
from reku.contact.decide import reasons
from reku.contact.policy import policy_of
from reku.contact.reasons import Reason
from reku.dispatch.claim import Batch, claim
from reku.dispatch.ledger import Due
from reku.dispatch.plan import send_plan
from reku.foundation import clock
from reku.foundation.addresses import address_hmac
from reku.store.states import DeliveryState, MessageState
from reku.store.tables import contacts, delivery_rows, messages
from reku_testing import banks, world
from reku_testing.steps import allow_any_step

DAY = date(2026, 11, 24)
"""A Tuesday."""
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
ELSEWHERE = "99950002"
"""Another bank."""

LOAN, BIRTHDAY, PARTY, ACCOUNT = "R0000001", "R0000003", "R0000004", "R0000006"
OCCASIONS = {LOAN: "MCAC170", BIRTHDAY: "MCAG002", PARTY: "MCAG002", ACCOUNT: "MCAC120"}
MEDIUM, PASSIVE = "SCOM_GEBURTSTAG", "SCOM_HEIRAT"
"""An active medium where a test does not say otherwise, and one that is not."""


def campaign(order: str, media: tuple[str, ...] = (MEDIUM,), **changes: Any) -> dict[str, Any]:
    """A campaign that sends an order's mails from midnight on, as a bank's file has it."""
    blocks = [{"block": "start", "list": order}, {"block": "wait", "until": "00:00"}, {"block": "send", "media": media}]
    return {"order": order, "name": order, "active": True, "blocks": blocks} | changes


def rules(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    campaigns: Iterable[dict[str, Any]] = (),
    *,
    blz: str = world.BLZ,
    **contact: Any,
) -> None:
    """Give a bank campaigns (those that are not named: plain ones) and rules for contacts."""
    named = {one["order"]: one for one in campaigns}
    every = [named.get(order) or campaign(order) for order in OCCASIONS]
    # YAML as a person writes it: no tuples, no dates
    banks.configure(monkeypatch, folder, blz=blz, campaigns=_plain(every), contact=_plain(contact))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


class Bank:
    """One bank's orders, messages and contacts in the database."""

    def __init__(self, engine: sa.Engine, blz: str = world.BLZ) -> None:
        self.engine, self.blz = engine, blz
        self._orders: dict[str, int] = {}
        self._number = 0

    def order(self, number: str = BIRTHDAY, **values: Any) -> int:
        """The order with this number, made when first asked for."""
        if number not in self._orders:
            about = {"institute": self.blz, "name": number, "occasion": OCCASIONS[number]} | values
            self._orders[number] = world.order(self.engine, number, **about)
            world.subscriber_list(self.engine, self._orders[number], created_at=NOW)
        return self._orders[number]

    def delivery(self, order: str = BIRTHDAY) -> int:
        """A further delivery of an order, ready for its dispatch."""
        self._number += 1
        ready = {"state": DeliveryState.LOADED, "released_at": NOW}
        return world.delivery(self.engine, self.order(order), self._number, **ready)

    def message(
        self,
        order: str = BIRTHDAY,
        person: int = 1,
        *,
        delivery: int | None = None,
        fields: dict[str, str] | None = None,
        **values: Any,
    ) -> int:
        """An open message that nothing stands against, in a delivery of its own unless one is named."""
        self._number += 1
        # an Anlass_Datum of its own, so that it is nobody's duplicate
        date_of = date(2026, 1, 1) + timedelta(days=self._number)
        row = world.reku_fields(person, self._number, order, Anlass_Datum=f"{date_of:%d.%m.%Y}") | (fields or {})
        into = self.delivery(order) if delivery is None else delivery
        chosen = row.get("Content_Schluessel") or None  # which only rows of IAM.w have a column for
        return world.message(
            self.engine, world.row(self.engine, into, row, line=self._number, content_key=chosen), **values
        )

    def messages(self, order: str, people: Iterable[int], **values: Any) -> int:
        """A further delivery with an open message to each of these people, in this order. Returns the delivery's id."""
        delivery, number = self.delivery(order), self._number
        of_delivery = {"institute": self.blz, "delivery_id": delivery, "occasion_date": DAY}
        rows: list[dict[str, Any]] = [
            world.typed(world.reku_fields(person, number, order))
            | {"line": line, "reference": f"{order}-{number}-{person}"}
            | of_delivery
            for line, person in enumerate(people, 3)
        ]
        of_order = {"order_id": self.order(order), "delivery_number": number, "consent": True, "tracking": False}
        common = of_delivery | of_order | {"due_at": NOW - timedelta(hours=1), "last_day": date(2026, 12, 31)} | values
        with self.engine.begin() as connection:
            ids = connection.scalars(
                sa.insert(delivery_rows).returning(delivery_rows.c.id, sort_by_parameter_order=True), rows
            )
            opened = [
                common
                | {name: row[name] for name in ("reference", "person_number")}
                | {"row_id": row_id, "recipient_key": address_hmac(self.blz, row["address"])}
                for row_id, row in zip(ids, rows, strict=True)
            ]
            connection.execute(sa.insert(messages), opened)
        return delivery

    def contact(
        self,
        day: date,
        until: date,
        state: MessageState | None = MessageState.SENT,
        *,
        message: int | None = None,
        person: int = 1,
        mandatory: bool = False,
    ) -> None:
        """An earlier contact, by a message in this state of another order; None: not by mail."""
        if message is None and state is not None:
            message = self.message(ACCOUNT, person, state=state)
        row = {"institute": self.blz, "person_number": f"{person:010d}", "message_id": message, "medium": MEDIUM}
        with self.engine.begin() as connection:
            connection.execute(
                sa.insert(contacts).values(row | {"day": day, "blocked_until": until, "mandatory": mandatory})
            )

    def against(self, *ids: int, day: date = DAY) -> dict[int, tuple[Reason, ...]]:
        """What speaks against messages, as the bank's file has it."""
        with self.engine.connect() as connection:
            return reasons(connection, policy_of(self.blz), ids, day)

    def reasons(self, message: int, day: date = DAY) -> tuple[Reason, ...]:
        """What speaks against one message."""
        return self.against(message, day=day).get(message, ())

    def claim(self, delivery: int, folder: Path) -> Batch | None:
        """Claim what is due of a delivery."""
        with self.engine.connect() as connection:
            plan = send_plan(connection, delivery)
        due = Due(delivery, clock.today())
        batch = claim(self.engine, plan, EMAIL, due, limit=100, journals=folder, lease=timedelta(minutes=5))
        if batch is not None:
            batch.journal.close()
        return batch

    def change(self, message: int, **values: Any) -> None:
        """Change a message."""
        with self.engine.begin() as connection:
            allow_any_step(connection)
            connection.execute(sa.update(messages).where(messages.c.id == message).values(**values))

    def contacts(self) -> list[tuple[int | None, str, date, date, bool]]:
        """All contacts: message, medium, day, last day of the blocking period, mandatory."""
        of = contacts.c
        with self.engine.connect() as connection:
            rows = connection.execute(
                sa.select(of.message_id, of.medium, of.day, of.blocked_until, of.mandatory).order_by(of.id)
            )
            return [tuple(row) for row in rows]

    def outcome(self, message: int) -> tuple[str, str, list[str]]:
        """State, reason and all reasons of a message."""
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(messages).where(messages.c.id == message)).one()
        return row.state, row.reason, list(row.reasons)
