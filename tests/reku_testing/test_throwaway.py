"""Servers that are thrown away: they end with their process, and a later run deletes what a killed one left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from reku.runtime import places
from reku_testing.throwaway import ThrowawayPostgres

pytestmark = pytest.mark.processes
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="otherwise the data lie in the run's own folder and go with it")


def test_a_throwaway_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from reku_testing.throwaway import ThrowawayPostgres\n"
        "server = ThrowawayPostgres(pathlib.Path(sys.argv[1])); server.start()\n"
        "print(server.process.pid, flush=True); sys.stdin.read()\n"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    postmaster = psutil.Process(int(starter.stdout.readline()))
    starter.kill()
    starter.communicate()
    try:
        postmaster.wait(15)
    finally:
        ThrowawayPostgres(tmp_path).remove()


@as_root
def test_what_a_killed_run_left_is_deleted_and_a_living_one_is_not(tmp_path: Path) -> None:
    """The folder says nothing: pytest itself removes the folders of older runs, also of one that still goes on."""
    gone, kept = tmp_path / "gone", tmp_path / "kept"
    program = (
        "import pathlib, sys; from reku.runtime import places; from reku_testing.throwaway import ThrowawayPostgres\n"
        "made = ThrowawayPostgres(pathlib.Path(sys.argv[1])); places.make_private(made.state, made.account)"
    )
    kept.mkdir()
    living = ThrowawayPostgres(kept)
    places.make_private(living.state, living.account)
    kept.rmdir()
    gone.mkdir()
    subprocess.run([sys.executable, "-c", program, str(gone)], check=True)
    assert places.state_of(gone).exists()
    ThrowawayPostgres(tmp_path).remove()
    assert not places.state_of(gone).exists()
    assert living.state.exists()
    living.remove()


@as_root
def test_nobody_takes_a_server_that_is_just_being_made_for_a_dead_one(tmp_path: Path) -> None:
    """Servers are made and deleted all the time, by several workers: each finds its own data to the end."""
    script = (
        "import sys, pathlib; from reku.runtime import places; from reku_testing.throwaway import ThrowawayPostgres\n"
        "for number in range(40):\n"
        "    made = ThrowawayPostgres(pathlib.Path(sys.argv[1]) / str(number))\n"
        "    places.make_private(made.state, made.account)\n"
        "    (made.state / 'data').mkdir(); made.remove()\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / name)], stderr=subprocess.PIPE, text=True)
        for name in ("one", "two", "three")
    ]
    assert [worker.communicate()[1] for worker in workers] == ["", "", ""]
    assert list(places.SYSTEM_STATE.glob(f"{places.state_of(tmp_path / 'one' / '0').name}*")) == []
