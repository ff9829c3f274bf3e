"""A worker process of a large dispatch: `python -m reku.dispatch.worker '{"delivery": …}'` (see `workers`)."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
import time
from datetime import date

from reku.dispatch.dispatch import check_dispatchable
from reku.dispatch.ledger import Due
from reku.dispatch.lock import passing_database_errors
from reku.dispatch.progress import Dispatched
from reku.dispatch.serve import Work, compiled_media, serve
from reku.dispatch.shutdown import ShutdownRequested, request_shutdown
from reku.dispatch.window import send_window
from reku.foundation import clock
from reku.foundation.errors import PassingError, RekuError
from reku.store.engine import engine

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_REPORT_SECONDS = 1.0


class _Reports:
    """Writes the counts to standard output, once a second and at the end."""

    def __init__(self) -> None:
        self._written = float("-inf")

    def show(self, done: Dispatched) -> None:
        """Write the counts if it is time to."""
        if time.monotonic() - self._written > _REPORT_SECONDS:
            self.write(done)

    def write(self, done: Dispatched, **more: object) -> None:
        """Write the counts, and what more there is to say."""
        self._written = time.monotonic()
        sys.stdout.write(json.dumps({"counts": done.as_counts(), **more}) + "\n")
        sys.stdout.flush()


def main(task: str) -> int:
    """Work on one delivery for the parent; returns the exit code."""
    given = json.loads(task)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nothing of a dispatch outlives its parent
    if os.getppid() != given["parent"]:
        return 1
    signal.signal(signal.SIGTERM, lambda _number, _frame: request_shutdown())
    done, reports = Dispatched(), _Reports()
    try:
        with passing_database_errors(given["delivery"]):
            serve(_work(given), done, reports.show)
    except ShutdownRequested:
        log.info("asked to end")  # by the parent, who knows why
    except RekuError as error:
        passing = isinstance(error, PassingError)
        reports.write(done, error={"passing": passing, "text": str(error)})
        return 1
    reports.write(done)
    return 0


def _work(given: dict[str, object]) -> Work:
    delivery = int(str(given["delivery"]))
    only = given["only"]
    due = Due(delivery, date.fromisoformat(str(given["day"])), date.fromisoformat(str(only)) if only else None)
    plan = check_dispatchable(engine(), delivery)
    until = send_window(plan, clock.now()).closes
    return Work(engine(), plan, compiled_media(plan), due, until, int(str(given["session"])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
