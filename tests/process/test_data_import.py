"""A bank's data are imported by its own look; what was refused is told, since nobody would be selected."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.process.data_import import data_banks, import_data
from reku_testing import banks
from reku_testing.world import BLZ

OSPLUS = "99950002"
PEOPLE = "Personennummer;Ansprechperson;Anrede;Nachname;EMail;Stand\n{number};J;1;Testmann;b@kunde.example;21.11.2026\n"


@pytest.fixture(autouse=True)
def two_banks(database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    banks.configure(monkeypatch, tmp_path / "config", core_system="agree21")
    banks.configure(monkeypatch, tmp_path / "config", blz=OSPLUS)


def put(files: Path, number: str, hour: int) -> None:
    inbox = files / BLZ / "eingang"
    inbox.mkdir(parents=True, exist_ok=True)
    name = f"ida_kunden_{BLZ}_20261122{hour:02}0000.csv"
    (inbox / name).write_text(PEOPLE.format(number=number), encoding="cp1252")


def test_what_came_what_was_refused_and_what_was_forgotten(
    database: sa.Engine, reku_settings: Path, clock_at: Callable[[datetime], None]
) -> None:
    clock_at(datetime(2026, 11, 22, 5, tzinfo=UTC))
    assert data_banks() == [BLZ]
    put(reku_settings, "0000000001", 4)
    taken = import_data(database, BLZ)
    assert (dict(taken.counts), taken.problems) == ({"PROCESSED": 1}, ())
    put(reku_settings, "1", 5)
    (problem,) = import_data(database, BLZ).problems
    assert "IDA_KUNDEN" in problem
    assert "FEHLERQUOTE" in problem
    assert "Testmann" not in problem
    clock_at(datetime(2026, 11, 22, 11, tzinfo=UTC))
    assert dict(import_data(database, BLZ).counts) == {"addresses_forgotten": 1}


def test_a_bank_of_another_core_system_has_no_data(database: sa.Engine) -> None:
    with pytest.raises(StageError, match="data are not imported"):
        import_data(database, OSPLUS)
