"""A worker process of a large dispatch (see `workers`): one more dispatcher, under its parent's lock."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import date

from reku.dispatch.brake import Brake
from reku.dispatch.channel import Channel
from reku.dispatch.dispatch import check_dispatchable
from reku.dispatch.dispatcher import Dispatcher
from reku.dispatch.ledger import Due
from reku.dispatch.lock import passing_database_errors
from reku.dispatch.progress import DispatchResult
from reku.dispatch.shutdown import ShutdownRequested, request_shutdown
from reku.dispatch.window import send_window
from reku.dispatch.workers import ERRORS, Task
from reku.foundation import clock
from reku.foundation.errors import RekuError
from reku.store.engine import engine

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_REPORT_SECONDS = 1.0


class _Reports:
    """Writes the counts to standard output, once a second and at the end."""

    def __init__(self) -> None:
        self._written_at = float("-inf")

    def show(self, result: DispatchResult) -> None:
        """Write the counts if it is time to."""
        if time.monotonic() - self._written_at > _REPORT_SECONDS:
            self.write(result)

    def write(self, result: DispatchResult, **more: object) -> None:
        """Write the counts, and what more there is to say."""
        self._written_at = time.monotonic()
        told = {"counts": result.as_counts(), "why_later": result.why_later}
        sys.stdout.write(json.dumps(told | more) + "\n")
        sys.stdout.flush()


def run_worker(argument: str, channel_named: Callable[[str], Channel]) -> int:
    """Work on one delivery for the parent, which gives its task as JSON; returns the exit code."""
    task = Task(**json.loads(argument))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nothing of a dispatch outlives its parent
    if os.getppid() != task.parent:
        return 1
    signal.signal(signal.SIGTERM, lambda _number, _frame: request_shutdown())
    result, reports = DispatchResult(), _Reports()
    try:
        with passing_database_errors(task.delivery):
            _send(task, channel_named(task.channel), result, reports.show)
    except ShutdownRequested:
        log.info("asked to end")  # by the parent, who knows why
    except RekuError as error:
        kind = next((name for name, kind in ERRORS.items() if isinstance(error, kind)), "lasting")
        reports.write(result, error={"kind": kind, "text": str(error)})
        return 1
    reports.write(result)
    return 0


def _send(task: Task, channel: Channel, result: DispatchResult, show: Callable[[DispatchResult], None]) -> None:
    only = date.fromisoformat(task.only) if task.only else None
    due = Due(task.delivery, date.fromisoformat(task.day), only, channel.name)
    plan = check_dispatchable(engine(), task.delivery).for_channel(channel.name)
    until = send_window(plan, clock.now()).closes
    brake = Brake(plan.institute.refusals)
    channel.prepare(plan).send(Dispatcher(engine(), plan, channel, due, until, task.session, result, show, brake))
