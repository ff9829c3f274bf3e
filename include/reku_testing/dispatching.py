"""What tests of the dispatch share: a demo bank whose configuration a test changes, deliveries, what became of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.channels.email.channel import EMAIL
from reku.dispatch import dispatch as dispatching
from reku.dispatch.plan import SendPlan, send_plan
from reku.dispatch.progress import DispatchResult
from reku.foundation import addresses
from reku.foundation import settings as settings_module
from reku.foundation.settings import INCLUDE
from reku.store.states import DeliveryState, MessageState
from reku.store.tables import claims, deliveries, delivery_rows, messages, orders, responses
from reku_testing import world
from reku_testing.smtp import Sink

BANK = "99990001"
ORDER = "R0000101"
"""Order of the demo bank; its campaign sends SCOM_GEBURTSTAG from 09:00 to 20:00 on every day."""
DAY = date(2026, 11, 24)
"""A Tuesday."""
NINE = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
"""09:30 on the day in Berlin."""


def people(count: int, first: int = 1, domain: str = "kunde.example", **changes: str) -> list[dict[str, str]]:
    """Rows of so many people: personN@DOMAIN."""
    return [
        world.reku_fields(number, 17, ORDER, **{"EMail": f"person{number}@{domain}"} | changes)
        for number in range(first, first + count)
    ]


def loaded(engine: sa.Engine, rows: Sequence[dict[str, str]], number: int = 17, **values: Any) -> int:
    """A loaded and released delivery with one open message per row, due at once; `values`: of its messages."""
    with engine.connect() as connection:
        order = connection.scalar(sa.select(orders.c.id).where(orders.c.order_number == ORDER))
    if order is None:
        order = world.order(engine, ORDER, institute=BANK)
        world.subscriber_list(engine, order, created_at=NINE)
    delivery = world.delivery(engine, order, number, state=DeliveryState.LOADED, released_at=NINE)
    of_delivery = {"institute": BANK, "delivery_id": delivery}
    made: list[dict[str, Any]] = [
        of_delivery
        | {
            "line": line,
            **world.typed(row),
            "reference": f"{row['Referenz']}-{number}",
            "occasion_date": DAY,
        }
        for line, row in enumerate(rows, start=3)
    ]
    with engine.begin() as connection:
        ids = connection.scalars(
            sa.insert(delivery_rows).returning(delivery_rows.c.id, sort_by_parameter_order=True), made
        )
        entries = [
            of_delivery
            | {
                "order_id": order,
                "delivery_number": number,
                "row_id": row_id,
                "reference": row["reference"],
                "person_number": row["person_number"],
                "recipient_key": addresses.address_hmac(BANK, row["address"]),
                "occasion_date": DAY,
                "consent": True,
                "tracking": False,
                "due_at": world.CREATED,
                "last_day": date(2026, 12, 31),
            }
            | values
            for row_id, row in zip(ids, made, strict=True)
        ]
        connection.execute(sa.insert(messages), entries)
    return delivery


def dispatch(engine: sa.Engine, delivery: int, *, day: date, due_day: date | None = None) -> DispatchResult:
    """Hand over what is due of a delivery by e-mail."""
    return dispatching.dispatch(engine, delivery, EMAIL, day=day, due_day=due_day)


def plan(engine: sa.Engine, delivery: int) -> SendPlan:
    """The delivery's plan."""
    with engine.connect() as connection:
        return send_plan(connection, delivery)


def states(engine: sa.Engine, delivery: int | None = None) -> Counter[str]:
    """How many messages are in each state."""
    with engine.connect() as connection:
        every = sa.select(messages.c.state)
        return Counter(
            connection.scalars(every if delivery is None else every.where(messages.c.delivery_id == delivery))
        )


def addresses_in(engine: sa.Engine, *wanted: MessageState) -> list[str]:
    """The addresses of all messages in one of these states."""
    with engine.connect() as connection:
        return list(
            connection.scalars(
                sa.select(delivery_rows.c.address)
                .join(messages, messages.c.row_id == delivery_rows.c.id)
                .where(messages.c.state.in_(wanted))
            )
        )


def events(engine: sa.Engine) -> Counter[tuple[str, str]]:
    """How many events there are, by kind and reason."""
    with engine.connect() as connection:
        return Counter(
            (kind, reason) for kind, reason in connection.execute(sa.select(responses.c.kind, responses.c.reason))
        )


def claimed(engine: sa.Engine) -> int:
    """How many batches are claimed."""
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(claims)) or 0


def account(engine: sa.Engine, sink: Sink) -> None:
    """Nobody has two mails, and who has one is known to have one, or as in doubt."""
    received = Counter(sink.recipients)
    assert received.total() == len(received), "somebody got two mails"
    sent = set(addresses_in(engine, MessageState.SENT))
    assert sent <= received.keys(), "somebody is said to have got a mail and has none"
    assert received.keys() <= sent | set(addresses_in(engine, MessageState.IN_DOUBT)), "a mail is not accounted for"
    assert events(engine)["SENT", ""] == states(engine)["SENT"]


def set_of(engine: sa.Engine, delivery: int, **values: object) -> None:
    """Change the delivery."""
    with engine.begin() as connection:
        connection.execute(sa.update(deliveries).where(deliveries.c.id == delivery).values(**values))


def environment() -> dict[str, str]:
    """What processes of this test are told."""
    return {name: value for name, value in os.environ.items() if name.startswith("REKU_")}


def change_settings(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    """Change settings of this test and of the processes it starts."""
    for name, value in values.items():
        monkeypatch.setenv(f"REKU_{name.upper()}", str(value))
    settings_module.settings.cache_clear()


def configure(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    bank: Sequence[tuple[str, str]] = (),
    occasion: Sequence[tuple[str, str]] = (),
) -> None:
    """A configuration of the test's own with pieces of the bank's or the occasion's file replaced: `(old, new)`."""
    folder = tmp_path / "config"
    folder.mkdir()
    for entry in INCLUDE.iterdir():
        if entry.name not in ("institutes", "occasions"):
            (folder / entry.name).symlink_to(entry)
    for kind, name, changes in (("institutes", BANK, bank), ("occasions", "MCAG002", occasion)):
        (folder / kind).mkdir()
        text = (INCLUDE / kind / f"{name}.yaml").read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, "the change must change something"
            text = text.replace(old, new, 1)
        (folder / kind / f"{name}.yaml").write_text(text, encoding="utf-8")
    change_settings(monkeypatch, config_dir=folder)


NO_LIMITS = ('limits: {per_second: 200, per_domain: {"*": 100}}\n', "")
NO_CONTROL_COPY = ("control_address: kontrolle@sparkasse-musterstadt.example\n", "")
