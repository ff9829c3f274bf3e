"""One supervisor for all processes of the embedded set-up.

It starts the database first, prepares it, starts the services, waits for their health, restarts what dies, and stops
in order. After it no descendant lives and no port is held; what its own kill -9 left behind is cleared by the next
start, as far as it provably belongs to this set-up.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import psutil

from reku.foundation.errors import SetupError
from reku.runtime import ports, processes
from reku.runtime.health import Check
from reku.runtime.home import Home
from reku.runtime.postgres import Postgres

log = logging.getLogger(__name__)

BIGGEST_LOG = 20_000_000  # bytes; a bigger one is put aside at the next start
Report = Callable[[str], None]


@dataclass(frozen=True)
class Service:
    """One process that is to run: its command, its environment and what it needs.

    `ports` are (number, variable that chooses another); `check` says what is missing until it is healthy;
    services of a lower `stop_wave` are stopped first.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ports: tuple[tuple[int, str], ...] = ()
    check: Check | None = None
    stop_wave: int = 0


@dataclass(frozen=True)
class Plan:
    """What a supervisor is to run: a database (or none, if it is somebody else's), a preparation, services."""

    home: Home
    services: tuple[Service, ...]
    database: Postgres | None = None
    prepare: Callable[[Report], None] | None = None


@dataclass(frozen=True)
class Timing:
    """Times in seconds; tests make them short."""

    tick: float = 0.5
    grace: float = 10.0
    clearing: float = 5.0
    back_off: tuple[float, ...] = (1, 2, 4, 8, 16, 30)
    steady: float = 60.0
    recovery: float = 45.0
    most_failures: int = 10


@dataclass
class _Run:
    """A service and its present process."""

    service: Service
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    failures: int = 0
    due: float = 0.0
    proof_due: float | None = None
    """Until then it has to show that it got over the loss of the database."""


class Supervisor:
    """`start`, `wait_healthy`, then `run_forever` (or `watch_in_background`), in the end `stop`, in every case."""

    def __init__(self, plan: Plan, report: Report = log.info, timing: Timing | None = None) -> None:
        self.plan = plan
        self.report = report
        self.timing = timing or Timing()
        self.failure: SetupError | None = None
        self._runs = [_Run(service) for service in plan.services]
        self._database_failures = 0
        self._database_started = 0.0
        self._lock: TextIO | None = None
        self._strangers: list[psutil.Process] = []
        self._guard = threading.RLock()
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._watcher: threading.Thread | None = None

    # Starting

    def start(self) -> None:
        """Start everything. Raises SetupError if it can't be; what was started until then is for `stop` to end.

        Leftovers of a killed supervisor of this home are ended first.
        """
        home = self.plan.home
        home.make()
        self._take_lock()
        self._strangers = psutil.Process().children()
        processes.become_subreaper()
        self._clear_leftovers()
        for service in self.plan.services:
            for port, variable in service.ports:
                ports.require_free(port, variable)
        if self.plan.database is not None:
            begun = time.monotonic()
            self.plan.database.start()
            self._database_started = time.monotonic()
            self.report(f"database: ready after {time.monotonic() - begun:.1f} s")
        if self.plan.prepare is not None:
            self.plan.prepare(self.report)
        with self._guard:
            for run in self._runs:
                self._launch(run)

    def wait_healthy(self, timeout: float = 180.0) -> None:
        """Wait until every service is healthy; what dies meanwhile is restarted.

        Raises SetupError naming what is missing and its log after `timeout` seconds.
        """
        begun = time.monotonic()
        waiting = {run.service.name for run in self._runs}
        problem: str | None = None
        while waiting:
            self.tick()
            for run in self._runs:
                if run.service.name not in waiting:
                    continue
                problem = self._problem(run)
                if problem is None:
                    waiting.discard(run.service.name)
                    self.report(f"{run.service.name}: healthy after {time.monotonic() - begun:.0f} s")
                    continue
                if time.monotonic() - begun > timeout:
                    raise SetupError(
                        f"Not healthy after {timeout:.0f} s: {problem}. See {self._log_of(run.service.name)}"
                    )
            if waiting:
                time.sleep(self.timing.tick)

    def _problem(self, run: _Run) -> str | None:
        name = run.service.name
        if run.process is None or run.process.poll() is not None:
            return f"{name} does not run"
        for port, _variable in run.service.ports:
            listener = ports.holder(port)
            if listener is None:
                return f"{name} does not listen on port {port} yet"
            if listener.pid not in {member.pid for member in processes.with_descendants(_tree(run))}:
                return f"port {port} was taken by another program (pid {listener.pid}) while {name} started"
        return run.service.check(run.started_at) if run.service.check is not None else None

    def _take_lock(self) -> None:
        lock = self.plan.home.lock.open("a+", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid = lock.read().strip() or "unknown"
            lock.close()
            raise SetupError(
                f"reku already runs for {self.plan.home.path} (pid {pid}). "
                f"Stop it with Ctrl-C where it runs, or with: kill {pid}"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _clear_leftovers(self) -> None:
        database = self._database_tree()  # it is stopped after them, in its own way
        leftovers = [left for left in processes.marked(self.plan.home.instance) if left.pid not in database]
        if leftovers:
            self.report(f"clearing {len(leftovers)} processes that an earlier, killed run left behind")
            processes.terminate(leftovers, self.timing.clearing)
            self._kill_rest(adopted=False)
        if self.plan.database is not None and self.plan.database.postmaster() is not None:
            self.report("stopping the database that an earlier, killed run left behind")
            self.plan.database.stop()

    def _launch(self, run: _Run) -> None:
        service = run.service
        environment = {
            **service.environment,
            **processes.KEEP_ENVIRONMENT,
            processes.INSTANCE: self.plan.home.instance,
            processes.SERVICE: service.name,
        }
        file = self._log_of(service.name)
        if file.exists() and file.stat().st_size > BIGGEST_LOG:
            file.replace(file.with_suffix(".log.1"))
        with file.open("ab") as output:
            try:
                run.process = subprocess.Popen(  # noqa: S603 - the commands of our own plan
                    service.command,
                    env=environment,
                    cwd=self.plan.home.path,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # Ctrl-C in the terminal is for us; we stop the others in their turn
                )
            except OSError as error:
                raise SetupError(f"{service.name} can't be started: {error}.") from None
        run.started = time.monotonic()
        run.proof_due = None
        # The machine's clock, since it is compared with heartbeats of Airflow, which knows no moved clock.
        run.started_at = datetime.now(UTC)

    # Running

    def tick(self) -> None:
        """Look after everything once: reap, restart what has died. Raises SetupError if a service won't stay up."""
        with self._guard:
            if self._stopping.is_set():
                return
            if self.failure is not None:
                raise self.failure
            self._reap()
            if not self._database_runs():
                return
            for run in self._runs:
                self._look_after(run)

    def run_forever(self) -> None:
        """Look after everything until `stop` is called or an exception (Ctrl-C) ends it."""
        while not self._stopping.wait(self.timing.tick):
            self.tick()

    def watch_in_background(self) -> None:
        """As `run_forever`, in a thread. What goes wrong there is raised by the next call of `tick`."""

        def watch() -> None:
            try:
                self.run_forever()
            except SetupError as error:
                self.failure = error
                self.report(str(error))

        self._watcher = threading.Thread(target=watch, name="supervisor", daemon=True)
        self._watcher.start()

    def _database_runs(self) -> bool:
        database = self.plan.database
        if database is None or (database.process is not None and database.process.poll() is None):
            return True
        now = time.monotonic()
        if now - self._database_started > self.timing.steady:
            self._database_failures = 0
        self._database_failures += 1
        if self._database_failures > self.timing.most_failures:
            raise SetupError(f"The database ended {self._database_failures - 1} times in a row. See {database.log}")
        self.report(f"database: ended unexpectedly, starting it again (log: {database.log})")
        self._stopping.wait(self._pause(self._database_failures))
        try:
            database.start()
        except SetupError as error:
            self.report(f"database: {error}")
            return False
        self._database_started = time.monotonic()
        for run in self._runs:
            # Airflow's processes end when they lose their database, but a scheduler first waits for its tasks.
            run.started_at = datetime.now(UTC)
            run.proof_due = time.monotonic() + self.timing.recovery
        return True

    def _look_after(self, run: _Run) -> None:
        name = run.service.name
        now = time.monotonic()
        if run.process is None:
            if now >= run.due:
                self._launch(run)
            return
        code = run.process.poll()
        if code is None:
            if run.failures and now - run.started > self.timing.steady:
                run.failures = 0
            if run.proof_due is not None and now > run.proof_due:
                run.proof_due = None
                problem = self._problem(run)
                if problem is None:
                    return
                self.report(f"{name}: has not got over the loss of the database ({problem}), ending it")
                processes.kill(processes.with_descendants(_tree(run)))
            return
        run.process = None
        run.failures += 1
        # Workers of a dead scheduler would go on beside those of the new one.
        processes.terminate(processes.marked(self.plan.home.instance, name), self.timing.clearing)
        if run.failures >= self.timing.most_failures:
            raise SetupError(
                f"{name} ended {run.failures} times in a row, the last time {_how(code)}. See {self._log_of(name)}"
            )
        pause = self._pause(run.failures)
        run.due = time.monotonic() + pause
        self.report(f"{name}: ended {_how(code)}, starts again in {pause:g} s")

    def _pause(self, failures: int) -> float:
        return self.timing.back_off[min(failures, len(self.timing.back_off)) - 1]

    def _reap(self) -> None:
        processes.reap(self._own_pids())

    def _own_pids(self) -> set[int]:
        own = {run.process.pid for run in self._runs if run.process is not None}
        database = self.plan.database
        if database is not None and database.process is not None:
            own.add(database.process.pid)
        return own

    def _log_of(self, name: str) -> Path:
        return self.plan.home.logs / f"{name}.log"

    # Stopping

    def hurry(self) -> None:
        """Cut short a `stop` that is going on: kill instead of waiting."""
        self._hurry.set()

    def stop(self) -> None:
        """Stop everything, the database last. May be called at any time and more than once."""
        self._stopping.set()
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join()
        with self._guard:
            if self._lock is None:
                return
            for wave in sorted({run.service.stop_wave for run in self._runs}):
                self._stop_wave([run for run in self._runs if run.service.stop_wave == wave])
            self._kill_rest(adopted=True)
            if self.plan.database is not None and self.plan.database.process is not None:
                self.plan.database.stop()
            self._reap()
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def _stop_wave(self, runs: list[_Run]) -> None:
        members = processes.with_descendants([process for run in runs for process in _tree(run)])
        deadline = time.monotonic() + self.timing.grace
        for run in runs:
            if run.process is not None and run.process.poll() is None:
                run.process.terminate()
        while time.monotonic() < deadline and not self._hurry.is_set():
            if all(run.process is None or run.process.poll() is not None for run in runs):
                break
            time.sleep(0.05)
        members = processes.with_descendants(members)
        for run in runs:
            members += processes.marked(self.plan.home.instance, run.service.name)
        grace = 0 if self._hurry.is_set() else min(max(deadline - time.monotonic(), 0), 2)
        processes.terminate(members, grace)
        for run in runs:
            if run.process is not None:
                run.process.wait(10)

    def _kill_rest(self, *, adopted: bool) -> None:
        """End what is left, again and again, since a process may fork while it is being looked for.

        `adopted`: also the orphans that came to us, whatever their environment says. What this process had started
        before its supervisor is somebody else's and left alone.
        """
        for _round in range(20):
            own = self._database_tree() | {one.pid for one in processes.with_descendants(self._strangers)}
            left = processes.marked(self.plan.home.instance)
            if adopted:
                left += processes.with_descendants(processes.adopted())
            left = [process for process in left if process.pid not in own]
            if not left:
                return
            processes.kill(left)
            self._reap()

    def _database_tree(self) -> set[int]:
        database = self.plan.database
        postmaster = database.postmaster() if database is not None else None
        return {member.pid for member in processes.with_descendants([postmaster] if postmaster else [])}


def _tree(run: _Run) -> list[psutil.Process]:
    if run.process is None or run.process.poll() is not None:
        return []
    try:
        return [psutil.Process(run.process.pid)]
    except psutil.NoSuchProcess:
        return []


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


@contextmanager
def stop_signals(supervisor: Supervisor) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt once; every further one hurries the stop up.

    Only for the main thread.
    """
    caught = False

    def on_signal(_number: int, _frame: object) -> None:
        nonlocal caught
        if caught:
            supervisor.hurry()
            return
        caught = True
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
