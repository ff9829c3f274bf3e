from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.contact.decide import reasons
from reku.contact.policy import Policy
from reku.contact.reasons import Reason
from reku.contact.suppressions import bar
from reku.store.states import DeliveryState
from reku.store.tables import messages
from reku.subscribers.load import load
from reku_testing import banks, world


@pytest.mark.parametrize("barred", [True, False])
def test_a_bank_that_came_later_does_not_write_to_whom_nobody_may(
    barred: bool,
    database: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    clock_at: Callable[[datetime], None],
) -> None:
    clock_at(datetime(2026, 11, 22, 2, 15, tzinfo=UTC))
    banks.configure(monkeypatch, tmp_path / "config", blz="99950009")
    if barred:
        bar(database, None, ["Person1@Kunde.example"], actor="anna", note="wants no mail from any bank")
    banks.configure(monkeypatch, tmp_path / "config")  # only now is there the bank that delivers
    order = world.order(database)
    world.subscriber_list(database, order)
    delivery = world.delivery(database, order, state=DeliveryState.RELEASED)
    world.rows(database, delivery, [world.reku_fields(1), world.reku_fields(2)])
    load(database, delivery)
    with database.connect() as connection:
        ids = connection.scalars(sa.select(messages.c.id).order_by(messages.c.person_number)).all()
        against = reasons(connection, Policy(world.BLZ), ids, datetime(2026, 11, 24, tzinfo=UTC).date())
    assert against == ({ids[0]: (Reason.BLACKLIST,)} if barred else {})
