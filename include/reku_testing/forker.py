"""Dispatchers that cost no start: a process with everything loaded, which forks one for each line it is told.

`python -m reku_testing.forker` reads JSON objects, one a line, and answers each with a number: `{"delivery": …,
"day": …, "environment": {…}}` with the new process's id, `{"ended": ID}`, when that process has ended, with its exit
code (negative: ended by that signal).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import Any

import psycopg

from reku.catalogue import institutes, media, occasions
from reku.channels.email.channel import EMAIL
from reku.channels.email.media.compile import compile_medium
from reku.dispatch.dispatch import dispatch
from reku.foundation.errors import PassingError
from reku.foundation.settings import settings
from reku.store.engine import engine

LOADED = (psycopg,)  # SQLAlchemy loads it with the first connection, so it is named here

PASSING = os.EX_TEMPFAIL
"""Exit code of a dispatcher that ended with a PassingError, about which it says nothing."""
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Dispatcher:
    """A dispatcher at work."""

    pid: int
    forker: Forker

    def ended(self) -> int:
        """Wait for its end; returns its exit code."""
        return self.forker.ask({"ended": self.pid})


class Forker:
    """The process that forks. What its dispatchers say goes where our own errors go."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("REKU_", "AIRFLOW"))}
        self._process = subprocess.Popen(
            (sys.executable, "-P", "-m", "reku_testing.forker"),
            env=kept | dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Forker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def start(self, delivery: int, day: date, environment: Mapping[str, str]) -> Dispatcher:
        """Start a dispatcher of the delivery; `environment`: what is different for this one."""
        task = {"delivery": delivery, "day": day.isoformat(), "environment": dict(environment)}
        return Dispatcher(self.ask(task), self)

    def ask(self, what: dict[str, Any]) -> int:
        """Say one thing to the process and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _dispatch(task: dict[str, Any]) -> int:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what is said there is for `Forker` only
    os.environ.update(task["environment"])
    settings.cache_clear()
    try:
        dispatch(engine(), task["delivery"], EMAIL, day=date.fromisoformat(task["day"]))
    except PassingError:
        return PASSING
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def main() -> None:
    """Fork until nothing more comes."""
    occasions()
    for institute in institutes().values():
        for key in {key for campaign in institute.campaigns for key in campaign.send_media}:
            compile_medium(media()[key], institute)
    for line in sys.stdin:
        task = json.loads(line)
        if "ended" in task:
            _, status = os.waitpid(task["ended"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - read by `Forker`
            continue
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(_dispatch(task))
            except BaseException:  # noqa: BLE001 - told, and then this process has ended
                traceback.print_exc()
                os._exit(1)
        print(pid, flush=True)  # noqa: T201 - read by `Forker`


if __name__ == "__main__":
    main()
