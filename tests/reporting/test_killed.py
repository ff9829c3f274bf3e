"""Killed at each step (SIGKILL, real processes), the result is the same file; several writers at once as well."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess as Process
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation.settings import settings
from reku_testing import banks, sftp, world
from reku_testing.by_blz import export, rebuild
from reku_testing.reported import NOW, K, World, files, pseudonymise, rows_of
from tests.reporting import killed

PEOPLE = 20
OSPLUS, VTM = ("RESPONSE", "Ereignis_ID"), ("VTM_AKTE", "Aktivitaet_ID")
"""Contract of a file, and its column that tells events apart."""
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([killed.__name__])  # one start of Python for all of them

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module", autouse=True)
def _no_server_stays() -> Iterator[None]:
    """Both would live as long as this process: the server that forks, and what keeps track of its shared memory."""
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined] # there is no public way
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined] # nor here


@pytest.fixture(autouse=True)
def bank(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock_at: Callable[[datetime], None]
) -> Path:
    clock_at(NOW)
    return banks.configure(monkeypatch, tmp_path / "include")


def start(point: str = "", institute: str = world.BLZ, order: int | None = None, daily: bool = False) -> Process:
    """An export in a process of its own, which dies at the point."""
    process = PROCESSES.Process(target=killed.main, args=(dict(os.environ), point, institute, order, daily))
    process.start()
    return process


def end(process: Process, *expected: int) -> None:
    process.join(120)
    assert process.exitcode in expected


def delivered(outbox: Path) -> dict[str, bytes]:
    """What the receiver sees: no drafts."""
    return {path.name: path.read_bytes() for path in outbox.iterdir() if path.suffix != ".tmp"}


def check(engine: sa.Engine, outbox: Path, institute: str, events: int, told: tuple[str, str] = OSPLUS) -> None:
    """Numbers without a gap, each event in exactly one file, all files there and as they come out again."""
    kind, key = told
    written = [file for file in files(engine) if file.institute == institute]
    assert [file.number for file in written] == list(range(1, len(written) + 1))
    assert all(file.written_at for file in written)
    there = delivered(outbox)
    assert there == {file.file_name: rebuild(engine, institute, file.number) for file in written}
    ids = [row[key] for data in there.values() for row in rows_of(data, kind)]
    assert len(ids) == len(set(ids)) == events


@pytest.fixture
def local(reku_settings: Path) -> Path:
    return reku_settings / world.BLZ / "ausgang"


@pytest.fixture
def remote(tmp_path: Path, reku_settings: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with sftp.asyncssh_server(tmp_path) as place:
        place.use(monkeypatch)
        settings.cache_clear()
        yield place.root / world.BLZ / "ausgang"


STEPS = [
    # point, place, are the events assigned, is the file there
    ("within the transaction", "local", False, False),
    ("before the transaction ends", "local", False, False),
    ("after the transaction", "local", True, False),
    ("draft on disk", "local", True, False),
    ("before the rename", "local", True, False),
    ("after the rename", "local", True, True),
    ("before it is recorded", "local", True, True),
    ("during the upload", "remote", True, False),
    ("before the rename there", "remote", True, False),
    ("after the rename there", "remote", True, True),
    ("before it is recorded", "remote", True, True),
]


@pytest.mark.parametrize(
    ("point", "place", "assigned", "there"), STEPS, ids=[f"{step[0]}, {step[1]}" for step in STEPS]
)
def test_killed(
    database: sa.Engine,
    request: pytest.FixtureRequest,
    clock_at: Callable[[datetime], None],
    point: str,
    place: str,
    assigned: bool,
    there: bool,
) -> None:
    outbox: Path = request.getfixturevalue(place)
    of = World(database)
    for number in range(PEOPLE):
        of.event(of.message(), K.BOUNCED_HARD if number % 5 == 0 else K.SENT)
    end(start(point), -signal.SIGKILL)
    assert [(file.number, file.rows, file.written_at) for file in files(database)] == [(1, PEOPLE, None)] * assigned
    before = delivered(outbox) if outbox.exists() else {}
    assert len(before) == there
    expected, stamps = (
        rebuild(database, world.BLZ, 1) if assigned else None,
        [file.stamped_at for file in files(database)],
    )
    of.event(of.message(), K.SENT)  # comes too late for a file whose rows are fixed
    clock_at(NOW + timedelta(hours=2))
    export(database, world.BLZ)
    check(database, outbox, world.BLZ, PEOPLE + 1)
    written = files(database)
    assert [file.rows for file in written] == ([PEOPLE, 1] if assigned else [PEOPLE + 1])
    if expected is not None:
        assert [written[0].stamped_at] == stamps
        assert delivered(outbox)[written[0].file_name] == expected
        assert before in ({}, {written[0].file_name: expected})


@pytest.mark.parametrize(
    ("point", "place"),
    [("after the transaction", "local"), ("before the rename", "local"), ("during the upload", "remote")],
)
def test_killed_over_clear_numbers(
    database: sa.Engine,
    bank: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    point: str,
    place: str,
) -> None:
    """The file for VTM, whose numbers are opened while it is written."""
    banks.configure(monkeypatch, bank, core_system="agree21")
    outbox: Path = request.getfixturevalue(place)
    of = World(database, "K2026-014", placeholder="MF_01")
    for _ in range(PEOPLE):
        of.event(of.message(), K.SENT)
    clear = pseudonymise(database)
    end(start(point), -signal.SIGKILL)
    assert [(file.rows, file.written_at) for file in files(database)] == [(PEOPLE, None)]
    assert not outbox.exists() or delivered(outbox) == {}
    of.event(of.message(), K.SENT)
    clear |= pseudonymise(database)
    export(database, world.BLZ)
    check(database, outbox, world.BLZ, PEOPLE + 1, VTM)
    named = [row["Personennummer"] for data in delivered(outbox).values() for row in rows_of(data, VTM[0])]
    assert sorted(named) == sorted(clear.values())


def test_writers_of_several_banks_at_once_some_of_them_killed(
    database: sa.Engine, bank: Path, reku_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export of each order and the daily one, for two banks, at the same time."""
    institutes = (world.BLZ, "99950003")
    banks.configure(monkeypatch, bank, blz=institutes[1])
    running: list[tuple[Process, tuple[int, ...]]] = []
    for institute in institutes:
        several = [
            World(database, f"R000000{number}", name=f"Auftrag_{number}", institute=institute) for number in (1, 2)
        ]
        for of in several:
            for _ in range(PEOPLE):
                of.event(of.message(), K.SENT)
        # Whoever finds nothing left to report never comes to the point at which it would be killed.
        for point, order, daily in (
            ("before the rename", several[0].order, False),
            ("", several[1].order, False),
            ("after the transaction", None, True),
            ("", None, True),
        ):
            expected = (0, -signal.SIGKILL) if point else (0,)
            running.append((start(point, institute, order, daily), expected))
    for process, expected in running:
        end(process, *expected)
    for institute in institutes:
        export(database, institute)
        check(database, reku_settings / institute / "ausgang", institute, 2 * PEOPLE)
