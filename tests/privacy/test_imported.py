"""People of imported data are found and erased by their clear number, though no table has it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.privacy.erase import erase
from reku.privacy.person import look_up
from reku.process.data_import import import_data
from reku.store import tables
from reku_testing import banks
from reku_testing.world import BLZ

NUMBER = "0000000001"
PEOPLE = f"Personennummer;Ansprechperson;Anrede;Nachname;EMail;Stand\n{NUMBER};J;1;Testmann;b@kunde.example;21.11.2026"


def test_somebody_is_found_and_erased_by_the_clear_number(
    database: sa.Engine,
    reku_settings: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    clock_at: Callable[[datetime], None],
) -> None:
    clock_at(datetime(2026, 11, 22, 5, tzinfo=UTC))
    banks.configure(monkeypatch, tmp_path / "config", core_system="agree21")
    inbox = reku_settings / BLZ / "eingang"
    inbox.mkdir(parents=True)
    (inbox / f"ida_kunden_{BLZ}_20261122040000.csv").write_text(PEOPLE, encoding="cp1252")
    assert import_data(database, BLZ).problems == ()
    places = {place["place"] for place in look_up(database, BLZ, NUMBER).places()}
    assert places == {"table persons", "table person_addresses", "table person_numbers"}
    with pytest.raises(StageError, match="Nothing is kept"):
        look_up(database, BLZ, "0000000002")
    erase(database, BLZ, NUMBER, actor="tester", note="probe")
    with pytest.raises(StageError, match="Nothing is kept"):
        look_up(database, BLZ, NUMBER)
    with database.connect() as connection:
        assert set(connection.scalars(sa.select(tables.data_keys.c.wrapped))) == {None}, "what sealed it is gone too"
