"""A large delivery by several processes: in what is counted, in how it stops and in what it leaves as by one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from reku.catalogue.institute import RefusalLimits
from reku.dispatch import stop_switches, workers
from reku.dispatch.stop_switches import Stopped
from reku.foundation.errors import PassingError, StageError
from reku_testing import hostile
from reku_testing.dispatching import (
    BANK,
    DAY,
    NO_CONTROL_COPY,
    NO_LIMITS,
    Sink,
    account,
    change_settings,
    claimed,
    configure,
    dispatch,
    loaded,
    people,
    states,
)

pytestmark = pytest.mark.processes


@pytest.fixture(autouse=True)
def large(sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two processes for every delivery; none of them is left."""
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY, NO_LIMITS])
    change_settings(monkeypatch, dispatch_processes=2, dispatch_large=2, dispatch_batch=10, smtp_connections=2)
    yield
    assert _workers() == []


def _workers() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if workers.ENTRY_POINT in _command(one)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_both_work_and_count_as_one(database: sa.Engine, sink: Sink) -> None:
    seen: set[int] = set()

    def both_first(point: str, _recipient: str) -> None:
        if point == "dot" and not sink.taken:
            hostile.until(lambda: claimed(database) > 1)  # two processes with one batch each, or one ahead of itself
            seen.update(one.pid for one in _workers())

    sink.say = both_first
    rows = people(120)
    delivery = loaded(database, rows)
    done = dispatch(database, delivery, day=DAY)
    assert len(seen) == 2
    assert (done.sent, done.put_off, done.next_try) == (120, 0, None)
    assert states(database) == {"SENT": 120}
    assert claimed(database) == 0
    account(database, sink)


def test_one_that_is_killed_is_told_and_recovered(
    database: sa.Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.seconds = 0.01

    def kills(point: str, _recipient: str) -> None:
        if point == "dot" and len(sink.taken) == 30:
            os.kill(_workers()[0].pid, signal.SIGKILL)

    sink.say = kills
    delivery = loaded(database, people(200))
    with pytest.raises(PassingError, match="ended with -9 without a word"):
        dispatch(database, delivery, day=DAY)
    assert states(database)["OPEN"]
    sink.seconds, sink.say = 0.0, lambda _point, _recipient: None
    change_settings(monkeypatch, dispatch_processes=1)
    dispatch(database, delivery, day=DAY)
    assert states(database)["IN_DOUBT"] <= 2  # one mail on each of its connections
    assert states(database)["SENT"] == 200 - states(database)["IN_DOUBT"]
    account(database, sink)


def test_what_stops_one_stops_both(database: sa.Engine, sink: Sink) -> None:
    sink.say = lambda point, _recipient: "554 5.7.1 we do not like you" if point == "rcpt" else None
    delivery = loaded(database, people(300))
    with pytest.raises(StageError, match="in a row") as error:
        dispatch(database, delivery, day=DAY)
    assert not isinstance(error.value, PassingError)
    assert states(database).keys() == {"REJECTED", "OPEN"}
    assert states(database)["REJECTED"] < 300
    assert states(database)["REJECTED"] >= RefusalLimits().in_a_row


def test_a_stop_switch_is_obeyed_within_two_seconds(database: sa.Engine, sink: Sink) -> None:
    sink.seconds = 0.02
    thrown: list[float] = []

    def throws(point: str, _recipient: str) -> None:
        if point == "dot" and len(sink.taken) == 20 and not thrown:
            stop_switches.throw(database, institute=BANK, order=None, actor="anna", note="wrong medium")
            thrown.append(time.monotonic())

    sink.say = throws
    delivery = loaded(database, people(2000))
    with pytest.raises(StageError, match="anna stopped the dispatch"):
        dispatch(database, delivery, day=DAY)
    assert sink.taken[-1].at - thrown[0] < 2
    assert states(database) == {"SENT": len(sink.taken), "OPEN": 2000 - len(sink.taken)}
    with pytest.raises(Stopped):
        dispatch(database, delivery, day=DAY)


@pytest.mark.parametrize(
    "program", ["echo 'no report'; exit 3", "exit 3", "kill -9 $$", "printf '{\"counts\"'; exit 3"]
)
def test_one_that_cannot_start_is_told(
    database: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    broken = tmp_path / "python"
    broken.write_text(f"#!/bin/sh\n{program}\n", encoding="ascii")
    broken.chmod(0o755)
    monkeypatch.setattr(workers.sys, "executable", str(broken))
    delivery = loaded(database, people(5))
    with pytest.raises(PassingError, match="without a word"):
        dispatch(database, delivery, day=DAY)
    assert states(database) == {"OPEN": 5}
