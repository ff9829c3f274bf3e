from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import sqlalchemy as sa

from reku_testing import hostile
from reku_testing.dispatching import DAY, Sink, account, change_settings, claimed, dispatch, loaded, people, states

_TASK = """
import signal, sys
from datetime import date
from reku_testing.dispatching import dispatch
from reku.dispatch.shutdown import ShutdownRequested, request_shutdown
from reku.store.engine import engine
signal.signal(signal.SIGTERM, lambda _number, _frame: request_shutdown())
try:
    dispatch(engine(), int(sys.argv[1]), day=date(2026, 11, 24))
except ShutdownRequested:
    sys.exit(75)
"""


@pytest.mark.processes
@pytest.mark.parametrize("processes", [1, 2])
def test_a_dispatch_that_is_asked_to_end_leaves_nothing_in_doubt(
    database: sa.Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    change_settings(monkeypatch, dispatch_processes=processes, dispatch_large=1)
    sink.seconds = 0.02
    delivery = loaded(database, people(300))
    with subprocess.Popen([sys.executable, "-c", _TASK, str(delivery)], env=os.environ.copy()) as process:
        try:
            hostile.until(lambda: len(sink.taken) > 10)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 75
        finally:
            process.kill()
    assert states(database).keys() == {"SENT", "OPEN"}
    assert claimed(database) == 0
    assert states(database)["SENT"] == len(sink.recipients)
    sink.seconds = 0.0
    dispatch(database, delivery, day=DAY)
    assert states(database) == {"SENT": 300}
    account(database, sink)
