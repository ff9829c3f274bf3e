"""How far a bank is: each step as soon as it is done, and what is next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.process.onboarding import OnboardingStep, onboarding
from reku.store import tables
from reku_testing import banks, world

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)


def next_of(engine: sa.Engine, blz: str) -> OnboardingStep | None:
    return next(one.next for one in onboarding(engine) if one.institute == blz)


def test_a_bank_goes_its_way_step_by_step(
    database: sa.Engine, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock_at(NOON)
    folder = banks.configure(monkeypatch, tmp_path / "config", interface_active_from=None)
    (folder / "institutes" / "99950002.yaml").write_text("blz: 99950002\nkolours: {}\n", encoding="utf-8")
    assert next_of(database, "99950002") is OnboardingStep.FILE
    assert next_of(database, world.BLZ) is OnboardingStep.INTERFACE
    banks.configure(monkeypatch, folder)
    assert next_of(database, world.BLZ) is OnboardingStep.CAMPAIGN
    blocks = [
        {"block": "start", "list": world.ORDER},
        {"block": "wait", "until": "10:30"},
        {"block": "send", "media": ["SCOM_GEBURTSTAG"]},
    ]
    campaign = {"order": world.ORDER, "name": "Geburtstag", "active": True, "blocks": blocks}
    banks.configure(monkeypatch, folder, campaigns=[campaign])
    assert next_of(database, world.BLZ) is OnboardingStep.ORDER
    order = world.order(database)
    assert next_of(database, world.BLZ) is OnboardingStep.DELIVERY
    delivery = world.delivery(database, order)
    assert next_of(database, world.BLZ) is OnboardingStep.GATE
    for state in ("VALIDATED", "RELEASED", "LOADED"):
        with database.begin() as connection:
            connection.execute(sa.update(tables.deliveries).values(state=state))
    assert next_of(database, world.BLZ) is OnboardingStep.SENT
    (row,) = world.rows(database, delivery, [world.reku_fields(1)])
    world.message(database, row, state="SENT")
    assert next_of(database, world.BLZ) is OnboardingStep.REPORTED
    values = {"institute": world.BLZ, "number": 1, "file_name": "x", "stamped_at": NOON, "written_at": NOON, "rows": 0}
    with database.begin() as connection:
        connection.execute(sa.insert(tables.feedback_files).values(**values))
    assert next_of(database, world.BLZ) is None
    assert [one.institute for one in onboarding(database)] == ["99950002", world.BLZ], "who is on the way comes first"
