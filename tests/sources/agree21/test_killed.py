"""An import killed at each step (SIGKILL, a real process): nothing is half there, and the next look makes it whole."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from multiprocessing import forkserver, resource_tracker
from typing import Any

import pytest

from reku.store import tables
from tests.sources.agree21 import killed
from tests.sources.agree21.conftest import NOW, CoopBank, person
from tests.sources.agree21.test_scan import clear

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([killed.__name__])  # one start of Python for all of them
WRITTEN = (tables.persons, tables.person_addresses, tables.person_numbers, tables.imports)

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module", autouse=True)
def _no_server_stays() -> Iterator[None]:
    """Both would live as long as this process: the server that forks, and what keeps track of its shared memory."""
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined] # there is no public way
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined] # nor here


def state(bank: CoopBank) -> dict[str, list[dict[str, Any]]]:
    return {table.name: bank.rows(table) for table in WRITTEN}


@pytest.mark.parametrize("point", killed.POINTS)
def test_killed(bank: CoopBank, point: str) -> None:
    bank.put("IDA_KUNDEN", [person(n) for n in range(1, 7)])
    assert bank.verdicts() == ["PROCESSED"]
    before = state(bank)
    changed = [*(person(n) for n in range(2, 6)), person(6, Kundensegment="FK"), person(7)]
    name = bank.put("IDA_KUNDEN", changed, NOW + timedelta(minutes=1))
    process = PROCESSES.Process(target=killed.main, args=(dict(os.environ), point))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    is_committed = point.startswith(("committed", "original gone"))
    assert (state(bank) == before) is not is_committed, "all of it or nothing"
    assert bank.verdicts() == ([] if is_committed else ["PROCESSED"])
    newest = bank.newest()
    assert [newest[count] for count in ("known_before", "added", "changed", "gone", "known_after")] == [6, 1, 1, 0, 7]
    assert (bank.count(tables.imports), bank.count(tables.files)) == (2, 2)
    assert sorted(clear(bank).values()) == [f"{n:010d}" for n in range(1, 8)]
    assert bank.count(tables.person_addresses) == 6, "of those whom the file names"
    assert bank.lying() == []
    assert "OK" in bank.receipt(name)
    assert bank.take_in().problems == ()
