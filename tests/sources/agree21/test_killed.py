"""Work killed at each step (SIGKILL, a real process): nothing is half there, and doing it again makes it whole."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from reku.catalogue import institutes
from reku.foundation.settings import settings
from reku.sources.agree21 import announcing
from reku.store import tables
from reku_testing import banks
from reku_testing.world import BLZ
from tests.process.test_announcing import campaign
from tests.sources.agree21 import killed
from tests.sources.agree21.conftest import NOW, CoopBank, appointment, holding, impulse, person
from tests.sources.agree21.test_scan import clear

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([killed.__name__])  # one start of Python for all of them
CHANGES = ("known_before", "added", "changed", "gone", "known_after")
LATER = NOW + timedelta(minutes=1)

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module", autouse=True)
def _no_server_stays() -> Iterator[None]:
    """Both would live as long as this process: the server that forks, and what keeps track of its shared memory."""
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined] # there is no public way
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined] # nor here


def state(bank: CoopBank) -> dict[str, list[dict[str, Any]]]:
    """All that the database holds, but for how often files were begun."""
    return {table.name: bank.rows(table) for table in tables.metadata.sorted_tables if table is not tables.file_tries}


def kill(what: str, point: str) -> None:
    process = PROCESSES.Process(target=killed.main, args=(dict(os.environ), what, point))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL, (what, point)


@pytest.mark.parametrize("point", killed.CUSTOMERS)
def test_customers(bank: CoopBank, point: str) -> None:
    bank.put("IDA_KUNDEN", [person(n) for n in range(1, 7)])
    assert bank.verdicts() == ["PROCESSED"]
    before = state(bank)
    changed = [*(person(n) for n in range(2, 6)), person(6, Kundensegment="FK"), person(7)]
    name = bank.put("IDA_KUNDEN", changed, LATER)
    kill("customers", point)
    is_committed = point.startswith(killed.COMMITTED)
    assert (state(bank) == before) is not is_committed, "all of it or nothing"
    assert bank.verdicts() == ([] if is_committed else ["PROCESSED"])
    assert [bank.newest()[count] for count in CHANGES] == [6, 1, 1, 0, 7]
    assert (bank.count(tables.imports), bank.count(tables.files)) == (2, 2)
    assert sorted(clear(bank).values()) == [f"{n:010d}" for n in range(1, 8)]
    assert bank.count(tables.person_addresses) == 6, "of those whom the file names"
    assert bank.lying() == []
    assert "OK" in bank.receipt(name)
    assert bank.take_in().problems == ()


class Bank:
    """Two customers, and how each kind of work is made ready, and looks when it is whole."""

    def __init__(self, bank: CoopBank, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bank, self.folder, self.monkeypatch = bank, folder, monkeypatch
        bank.put("IDA_KUNDEN", [person(n, Geburtsdatum="22.11.1976") for n in (1, 2)])
        bank.put("IDA_BESTAND", [holding(1, 1), holding(2, 1), holding(3, 2)])
        bank.put("GDIX_TERMINE", [appointment("T-1", 1)])
        bank.put("IMPULSE", [impulse("IMP-1", 1)])
        assert bank.verdicts() == ["PROCESSED"] * 4

    def ready(self, what: str) -> None:
        """Lay ready what there is to do."""
        changed = "22.11.2026 03:00:00"
        match what:
            case "holdings":
                rows = [holding(2, 1), holding(3, 2, Saldo_Klasse="D"), holding(4, 2)]
                self.bank.put("IDA_BESTAND", rows, LATER)
            case "appointments":
                one = appointment("T-1", 1, Status="ABGESAGT", Geaendert_am=changed)
                self.bank.put("GDIX_TERMINE", [one, appointment("T-2", 2)], LATER)
            case "impulses":
                self.bank.put("IMPULSE", [impulse("IMP-1", 1, Prioritaet="1"), impulse("IMP-2", 2)], LATER)
            case "selection":
                config = {"core_system": "agree21", "campaigns": [campaign()]}
                banks.configure(self.monkeypatch, self.folder, **config)
                announcing.announce(self.bank.engine, institutes()[BLZ], "MCAG002")
            case "rotate-key":
                self._append("REKU_VAULT_KEYS", Fernet.generate_key().decode())
            case "rotate-pseudonyms":
                self._append("REKU_PSEUDONYM_KEYS", "another-key-of-the-probe-forty-eight-bytes-long-")

    def _append(self, variable: str, key: str) -> None:
        self.monkeypatch.setenv(variable, f"{os.environ[variable]},{key}")
        settings.cache_clear()

    def whole(self, what: str) -> object:
        """What can be seen when it is done."""
        match what:
            case "holdings" | "appointments" | "impulses":
                return [self.bank.newest()[count] for count in CHANGES], self.bank.lying()
            case "selection":
                (one,) = self.bank.rows(tables.deliveries)
                (told,) = self.bank.rows(tables.selections)
                return one["rows"], self.bank.count(tables.selected_rows), told["funnel"]["selected"]
            case "rotate-key":
                wrapped_by = {row["wrapped_by"] for row in self.bank.rows(tables.data_keys)}
                return len(wrapped_by), sorted(clear(self.bank).values())
        versions = {row["person_number"][:3] for row in self.bank.rows(tables.persons)}
        return versions, sorted(clear(self.bank).values())


NUMBERS = ["0000000001", "0000000002"]
WHOLE: dict[str, object] = {
    "holdings": ([3, 1, 1, 1, 3], []),
    "appointments": ([1, 1, 1, 0, 2], []),
    "impulses": ([1, 1, 1, 0, 2], []),
    "selection": (2, 2, 2),
    "rotate-key": (1, NUMBERS),
    "rotate-pseudonyms": ({"p2."}, NUMBERS),
}


@pytest.mark.parametrize("what", WHOLE)
def test_everything_else(bank: CoopBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """One world for all points: who is killed before anything is committed leaves it as it was."""
    at = Bank(bank, tmp_path / "config", monkeypatch)
    at.ready(what)
    act, points = killed.ACTS[what]
    for point in points:
        before = state(bank)
        kill(what, point)
        assert (state(bank) == before) is not point.startswith(killed.COMMITTED), (point, "all of it or nothing")
        with bank.engine.begin() as connection:
            connection.execute(sa.delete(tables.file_tries))  # three in vain are set aside
    act()
    assert at.whole(what) == WHOLE[what]
    assert bank.take_in().problems == ()
