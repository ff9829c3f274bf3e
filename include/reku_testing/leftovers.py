"""What tests leave behind: processes, servers, threads, files in the checkout."""

from __future__ import annotations

import os
import subprocess
import threading
import uuid
from contextlib import suppress
from pathlib import Path

import psutil

_MARK = "TESTS_WATCHED_BY"  # in the environment of every process that a test starts, and of those that these start
_TEST = "PYTEST_CURRENT_TEST"  # pytest's own: the test that was running when a process was started
_CACHES = ("__pycache__/", ".pytest_cache/", ".hypothesis/", ".mypy_cache/", ".ruff_cache/", ".import_linter_cache/")
_PATIENCE = 5.0  # seconds for processes that were told to end


class Watch:
    """Compares the end of a run with its start, in the process that runs the tests."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self._mark = os.environ[_MARK] = uuid.uuid4().hex
        self._ports = _listening()
        self._threads = _threads()
        self._processes = self._processes_of_tests()
        self._files = _files(checkout)

    def left(self) -> list[str]:
        """A line for each thing that was not there at the start. Processes are ended once they are named."""
        _, alive = psutil.wait_procs(self._processes_of_tests() - self._processes, _PATIENCE)
        processes = [f"process {process.pid}: {_told(process)}" for process in alive]
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return [
            *processes,
            *(f"a server on port {port} of this process" for port in sorted(_listening() - self._ports)),
            *(f"thread {thread.name}" for thread in _threads() - self._threads),
            *(f"file in the checkout: {file}" for file in sorted(_files(self._checkout) - self._files)),
        ]

    def _processes_of_tests(self) -> set[psutil.Process]:
        """Descendants of this process, and those that only bear its mark because their parent has gone."""
        own = psutil.Process()
        marked = {process for process in psutil.process_iter() if _environment(process).get(_MARK) == self._mark}
        return {process for process in marked | set(own.children(recursive=True)) if process != own}


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


def _told(process: psutil.Process) -> str:
    try:
        command = " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        command = "gone meanwhile"
    test = _environment(process).get(_TEST)
    return f"{command[:200]}, started in {test}" if test else command[:200]


def _listening() -> set[int]:
    return {
        connection.laddr.port
        for connection in psutil.Process().net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def _threads() -> set[threading.Thread]:
    """Threads that keep a process from ending."""
    return {thread for thread in threading.enumerate() if not thread.daemon}


def _files(checkout: Path) -> set[str]:
    """Files and whole folders that git does not know, but for caches; none where the checkout is no repository."""
    asked = subprocess.run(
        ["git", "-C", str(checkout), "status", "--porcelain", "--ignored", "-z"],
        capture_output=True,
        check=False,
        text=True,
    )
    unknown = {line[3:] for line in asked.stdout.split("\0") if line[:2] in ("??", "!!")}
    return {file for file in unknown if not any(cache in f"{file}/" for cache in _CACHES)}
