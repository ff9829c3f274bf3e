"""Several processes for a large delivery. The parent holds the delivery's lock; each worker is a dispatcher.

A worker claims batches of its own and looks whether its parent still holds the lock, so that nothing of it outlives
the parent. It reports on its standard output, one JSON object a line: counts while it runs, at the end also its error.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from typing import Any

from reku.dispatch.dispatcher import Dispatcher
from reku.dispatch.progress import COUNTS, DispatchResult
from reku.dispatch.shutdown import on_shutdown
from reku.foundation.errors import AwayError, PassingError, StageError

log = logging.getLogger(__name__)

ENTRY_POINT = "reku.process.dispatch_worker"
"""The program that is run: it finds the channel by its name, which this room does not know."""
_POLL_SECONDS = 1.0
_GRACE_SECONDS = 150.0  # longer than the longest wait for an answer to a mail that is begun

ERRORS: dict[str, type[StageError]] = {"away": AwayError, "passing": PassingError, "lasting": StageError}
"""How a worker's report calls the kind of its error; the first that holds."""


@dataclass(frozen=True)
class Task:
    """What a worker is told. Days in ISO 8601; `only` may be empty; `parent`: the process that it works for."""

    channel: str
    delivery: int
    day: str
    only: str
    session: int
    parent: int

    @classmethod
    def of(cls, terms: Dispatcher) -> Task:
        """The work of a dispatcher of this process, for another one."""
        due = terms.due
        only = due.only.isoformat() if due.only else ""
        return cls(terms.channel.name, due.delivery, due.day.isoformat(), only, terms.session, os.getpid())


class _Worker:
    """One worker process, and a thread that reads what it reports."""

    def __init__(self, task: Task, reports: _Reports) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            (sys.executable, "-P", "-m", ENTRY_POINT, json.dumps(asdict(task))),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        self.known = dict.fromkeys(COUNTS, 0)
        self.error: dict[str, Any] | None = None
        self.ended = False
        self._reports = reports
        threading.Thread(target=self._read, daemon=True, name="worker reports").start()

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 - it was asked for
        with self.process.stdout as lines:
            for line in lines:
                try:
                    self._reports.put((self, json.loads(line)))
                except ValueError:
                    log.warning("a worker of this dispatch wrote something that is no report")
        self.process.wait()
        self._reports.put((self, None))

    def take_in(self, report: dict[str, Any], result: DispatchResult) -> None:
        """Add what is new in a report."""
        counts = report["counts"]
        result.add({name: counts[name] - self.known[name] for name in COUNTS})
        self.known = counts
        result.why_later = report.get("why_later") or result.why_later
        if "error" in report:
            self.error = report["error"]


_Reports = queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]]
"""What workers report, in the order it comes in; None: the worker has ended."""


def dispatch_by_workers(terms: Dispatcher, processes: int) -> None:
    """Let so many workers send what is due, each as this dispatcher would; counts into its result.

    When one of them fails, the others end what they have begun and stop; then its error is raised. A worker that dies
    without a word is an error as well: what it had in hand is recovered from its journals.
    """
    reports: _Reports = queue.SimpleQueue()
    task = Task.of(terms)
    workers = [_Worker(task, reports) for _ in range(processes)]
    try:
        with on_shutdown(lambda: _stop(workers)):
            _watch(workers, reports, terms)
    finally:
        _end(workers)
    _raise_first(task.delivery, workers)


def _watch(workers: list[_Worker], reports: _Reports, terms: Dispatcher) -> None:
    while any(not worker.ended for worker in workers):
        try:
            worker, report = reports.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            terms.show(terms.result)
            continue
        if report is not None:
            worker.take_in(report, terms.result)
        else:
            worker.ended = True
        if worker.error is not None or (worker.ended and worker.process.returncode):
            _stop(workers)
        terms.show(terms.result)


def _stop(workers: list[_Worker]) -> None:
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.terminate()


def _end(workers: list[_Worker]) -> None:
    """Leave none behind, whatever has happened here."""
    _stop(workers)
    for worker in workers:
        try:
            worker.process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()


def _raise_first(delivery: int, workers: list[_Worker]) -> None:
    for worker in workers:
        if worker.error is not None:
            raise ERRORS[worker.error["kind"]](worker.error["text"])
    for worker in workers:
        if worker.process.returncode:
            raise PassingError(
                f"A worker process of delivery {delivery} ended with {worker.process.returncode} without a word "
                "(killed, or out of memory). What it had in hand is recovered by the next try; its output is above."
            )
