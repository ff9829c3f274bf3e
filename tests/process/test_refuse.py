"""A delivery that can neither go on nor be declined is refused by a person, and its order goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.gate import gate
from reku.process.due_work import earlier_not_loaded
from reku.process.refuse import refuse
from reku.store.tables import audit, deliveries, delivery_rows, files
from reku_testing import smtp
from reku_testing.bank_files import BANK, deliver, order, people
from reku_testing.by_blz import take_in_all, validate
from tests.process.conftest import NOON, Move, Work


def _state(engine: sa.Engine, number: int) -> tuple[int, str, str]:
    with engine.connect() as connection:
        row = connection.execute(sa.select(deliveries).where(deliveries.c.delivery_number == number)).one()
    return row.id, row.state, row.code


def test_an_order_goes_on_past_a_delivery_that_the_gate_cannot_judge(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_at(NOON)
    order()
    deliver(1, people(2))
    take_in_all(database)
    bad, _, _ = _state(database, 1)
    real = gate.validate

    def broken(engine: sa.Engine, delivery: int, read: Any) -> gate.GateResult:
        if delivery == bad:
            raise OverflowError("date value out of range")
        return real(engine, delivery, read)

    monkeypatch.setattr(gate, "validate", broken)
    day = work()
    assert "OverflowError at" in " ".join(one.why for one in day.outcomes)
    deliver(2, people(3))
    take_in_all(database)
    later, _, _ = _state(database, 2)
    assert earlier_not_loaded(database, later) is not None
    refuse(database, bad, actor="jo", note="year 1")
    assert _state(database, 1)[1:] == ("REFUSED", "VERARBEITUNG")
    assert earlier_not_loaded(database, later) is None
    assert work().is_green
    assert len(relay.recipients) == 3
    with database.connect() as connection:
        assert connection.execute(sa.select(audit.c.actor, audit.c.action, audit.c.note)).all() == [
            ("jo", "deliveries refuse", "year 1")
        ]
        assert connection.scalars(
            sa.select(files.c.verdict).where(files.c.kind == "REKU").order_by(files.c.id)
        ).all() == [
            "REFUSED",
            "REGISTERED",
        ]
    receipts = (Path(settings().files_url) / BANK / "ausgang").glob("quittung_reku_*_000001_*")
    assert ["VERARBEITUNG" in receipt.read_text(encoding="utf-8") for receipt in receipts] == [True]


@pytest.mark.parametrize("state", ["REGISTERED", "VALIDATED"])
def test_whatever_is_on_its_way_may_be_refused_once(
    database: sa.Engine, clock_at: Move, relay: smtp.Sink, state: str
) -> None:
    clock_at(NOON)
    order()
    deliver(1, people(2))
    take_in_all(database)
    delivery, _, _ = _state(database, 1)
    if state == "VALIDATED":
        validate(database, delivery)
    for _ in range(2):
        refuse(database, delivery, actor="jo", note="not needed")
    assert _state(database, 1)[1] == "REFUSED"
    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(audit)) == 1
        assert connection.scalar(sa.select(sa.func.count()).select_from(delivery_rows)) == 0


def test_what_is_loaded_cannot_be_refused(database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work) -> None:
    clock_at(NOON)
    order()
    deliver(1, people(1))
    take_in_all(database)
    assert work().is_green
    delivery, _, _ = _state(database, 1)
    with pytest.raises(StageError, match=rf"LOADED.*reku deliveries close {delivery}"):
        refuse(database, delivery, actor="jo", note="too late")
    with pytest.raises(StageError, match="no delivery 999"):
        refuse(database, 999, actor="jo", note="typo")
