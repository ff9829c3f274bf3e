"""A delivery of a core system that the package does not know, on a channel and into a format that it does not know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.catalogue.institute import CoreSystem
from reku.foundation import clock
from reku.process.answers import Ending
from reku.process.daily_feedback import write_daily_feedback
from reku.process.intake import take_in
from reku.process.systems import CHANNELS, SYSTEMS, System, bank_named, served_banks
from reku.reporting.export import rebuild
from reku_testing import banks, days, world
from tests.dispatch.test_channel import Messenger
from tests.process.conftest import NOON, Move
from tests.process.toy_system import ToyFormat, ToySource

TODAY = date(2026, 11, 24)
CAMPAIGN = {
    "order": world.ORDER,
    "name": "Runde Geburtstage",
    "active": True,
    "blocks": [
        {"block": "start", "list": "MCAG002_Geburtstag_rund_2026"},
        {"block": "wait", "until": "10:30"},
        {"block": "send", "media": ["SCOM_GEBURTSTAG"]},
    ],
}


@pytest.fixture
def toy(
    database: sa.Engine, clock_at: Move, reku_settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[System]:
    """The toy core system in the registry, and a bank on it."""
    clock_at(NOON)
    banks.configure(monkeypatch, tmp_path / "config", core_system="osplus", max_reject_share=0.5, campaigns=[CAMPAIGN])
    system = System(ToySource(reku_settings), ToyFormat())
    monkeypatch.setitem(CHANNELS, "email", Messenger("email"))
    monkeypatch.setitem(SYSTEMS, CoreSystem.OSPLUS, system)
    return system


def _deliver(root: Path, *people: dict[str, str]) -> None:
    folder = root / world.BLZ
    folder.mkdir(exist_ok=True)
    (folder / "people.json").write_text(json.dumps(people), encoding="utf-8")


def test_a_delivery_goes_through_source_channel_and_format(
    database: sa.Engine, toy: System, clock_at: Move, reku_settings: Path
) -> None:
    assert served_banks() == [world.BLZ]
    assert "have not come" in take_in(database, world.BLZ).problems[0]
    bad = world.reku_fields(4, EMail="no address")
    _deliver(reku_settings, *(world.reku_fields(number) for number in (1, 2, 3)), bad)
    assert take_in(database, world.BLZ).counts == {"people": 4}
    day = days.work(database, clock_at)
    assert [(one.stage, one.why) for one in day.outcomes if one.ending is not Ending.DONE] == []
    assert isinstance(toy.source, ToySource)
    messenger = CHANNELS["email"]
    assert isinstance(messenger, Messenger)
    assert toy.source.rejected == [1]
    assert len(messenger.delivered) == 3
    outbox = reku_settings / world.BLZ / "ausgang"
    assert {file.name: file.read_text(encoding="utf-8").count("\n") for file in outbox.iterdir()} == {
        f"toy_{world.BLZ}_1_1.txt": 2,
        f"toy_{world.BLZ}_1_1.txt.ok": 1,
        f"toy_{world.BLZ}_1_2.txt": 1,
        f"toy_{world.BLZ}_1_2.txt.ok": 1,
    }
    made = rebuild(database, bank_named(world.BLZ), toy.feedback, 1)
    assert made == {file.name: file.read_bytes() for file in outbox.iterdir()}
    assert list(made) == sorted(made)
    assert days.work(database, clock_at).is_green
    assert len(messenger.delivered) == 3
    assert write_daily_feedback(database, world.BLZ) == {"file": 2, "rows": 0}


def test_what_its_source_expects_is_waited_for(
    database: sa.Engine, toy: System, clock_at: Move, reku_settings: Path
) -> None:
    _deliver(reku_settings, world.reku_fields(1))
    take_in(database, world.BLZ)
    assert isinstance(toy.source, ToySource)
    toy.source.fresh.clear()
    clock_at(clock.at(TODAY, 3, 5))
    day = days.work(database, clock_at)
    assert day.ending("await_delivery", 0) is Ending.FAILED
    assert clock.now() >= clock.at(TODAY, 6)
    assert any("no delivery for 24.11.2026" in one.why for one in day.outcomes)
