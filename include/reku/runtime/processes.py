"""Finding and ending processes that are provably ours.

Every process of a set-up carries `REKU_INSTANCE` in its environment and passes it on to its children. That is the
proof: a pid alone may have gone to somebody else. Descendants that outlive their parent come to the supervisor, since
it is a sub-reaper.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable

import psutil

INSTANCE = "REKU_INSTANCE"
SERVICE = "REKU_SERVICE"
KEEP_ENVIRONMENT = {"SPT_NOENV": "1"}
"""Airflow's processes rename themselves (setproctitle) and would write over their environment, our marker included."""

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Orphaned descendants become our children instead of init's (Linux; elsewhere nothing happens)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def marked(instance: str, service: str | None = None) -> list[psutil.Process]:
    """Living processes of this user with our marker (and of one service, if named), without ourselves."""
    ours = []
    for process in psutil.process_iter():
        if process.pid != os.getpid() and is_marked(process, instance, service):
            ours.append(process)
    return ours


def is_marked(process: psutil.Process, instance: str, service: str | None = None) -> bool:
    """Whether the process carries our marker. Foreign users' processes never do."""
    try:
        if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        environment = process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False
    return environment.get(INSTANCE) == instance and service in (None, environment.get(SERVICE))


def with_descendants(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """The living among the processes, and everything below them."""
    living: dict[int, psutil.Process] = {}
    for process in processes:
        try:
            for member in (process, *process.children(recursive=True)):
                if member.status() != psutil.STATUS_ZOMBIE:
                    living[member.pid] = member
        except psutil.NoSuchProcess:
            continue
    return list(living.values())


def adopted() -> list[psutil.Process]:
    """Children of ours that we did not start in our own session: orphans that came to us (zombies included).

    A supervised service counts too, since it gets a session of its own; the caller knows its services.
    """
    orphans = []
    for child in psutil.Process().children():
        try:
            if os.getsid(child.pid) != os.getsid(0):
                orphans.append(child)
        except ProcessLookupError:
            continue
    return orphans


def reap(known: set[int]) -> None:
    """Take the exit of adopted orphans that have ended; `known` are pids that somebody else waits for."""
    for child in adopted():
        if child.pid not in known:
            try:
                os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                continue


def terminate(processes: Iterable[psutil.Process], grace: float) -> None:
    """SIGTERM, `grace` seconds, then SIGKILL for what is left. Returns when all of them have ended."""
    remaining = list(processes)
    for process in remaining:
        _send(process, signal.SIGTERM)
    remaining = wait_for(remaining, grace)
    for process in remaining:
        _send(process, signal.SIGKILL)
    wait_for(remaining, 10)


def kill(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL at once."""
    remaining = list(processes)
    for process in remaining:
        _send(process, signal.SIGKILL)
    wait_for(remaining, 10)


def wait_for(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still live after at most so many seconds. A zombie has ended; its parent will reap it."""
    deadline = time.monotonic() + seconds
    living = list(processes)
    while True:
        living = [process for process in living if _lives(process)]
        if not living or time.monotonic() >= deadline:
            return living
        time.sleep(0.05)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)  # psutil checks first that the pid is still the same process
    except psutil.NoSuchProcess:
        return
