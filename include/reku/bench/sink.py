"""Postfix's smtp-sink, which takes and forgets mails, and smtp-source, which sends them: the measure of a hand-over."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from reku.foundation.errors import SetupError
from reku.runtime.ports import LOOPBACK, free_port, holder

MAIL_BYTES = 16_171
"""Body of a mail in the benchmarks: as long as one of our media with its links comes out."""
_READY_SECONDS = 10.0
_RUN_SECONDS = 300.0


@contextmanager
def sink() -> Iterator[int]:
    """A running smtp-sink of our own; yields its port on 127.0.0.1. It has ended afterwards.

    Raises SetupError if smtp-sink is not installed or does not start.
    """
    port = free_port()
    user = ("-u", "nobody") if os.geteuid() == 0 else ()
    process = subprocess.Popen(  # noqa: S603 - found by name, with arguments of ours
        (_program("smtp-sink"), *user, f"{LOOPBACK}:{port}", "100"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_until_it_listens(process, port)
        yield port
    finally:
        process.kill()
        process.communicate()


def smtp_source(port: int, mails: int, *, size: int = MAIL_BYTES, sessions: int = 4) -> float:
    """Send so many mails with bodies of `size` bytes over so many kept sessions. Returns the seconds it took.

    Raises SetupError if smtp-source is not installed or fails.
    """
    command = (_program("smtp-source"), "-d", "-s", str(sessions), "-m", str(mails), "-l", str(size))
    addresses = ("-f", "sender@bench.example", "-t", "person@bench.example")
    begun = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - found by name, with arguments of ours
        (*command, *addresses, f"{LOOPBACK}:{port}"), capture_output=True, text=True, check=False, timeout=_RUN_SECONDS
    )
    seconds = time.perf_counter() - begun
    if done.returncode != 0:
        raise SetupError(f"smtp-source failed: {done.stderr.strip() or 'no reason given'}")
    return seconds


def _program(name: str) -> str:
    program = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    if program is None:
        raise SetupError(
            f"There is no {name} on this machine: the benchmark holds our hand-over against it. It is part of the "
            "Debian package postfix: apt install --no-install-recommends postfix (its daemon need not run)."
        )
    return program


def _wait_until_it_listens(process: subprocess.Popen[str], port: int) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            said = process.stderr.read().strip() if process.stderr else ""
            raise SetupError(f"smtp-sink did not start: {said or 'no reason given'}")
        listener = holder(port)
        if listener is not None and listener.pid == process.pid:
            return
        time.sleep(0.01)
    raise SetupError(f"smtp-sink does not listen on {LOOPBACK}:{port} after {_READY_SECONDS:.0f} s.")
