"""The demo world, and its mail server as a real process."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import pytest

from reku.simulator.build import build
from reku.simulator.world import SAVINGS_BANKS, DemoWorld
from reku_testing.ports import free_port

DAY_1 = date(2026, 11, 24)


@pytest.fixture(scope="session")
def whole_world() -> DemoWorld:
    return build(1, DAY_1)


@pytest.fixture(scope="session")
def world(whole_world: DemoWorld) -> DemoWorld:
    """The savings banks' part."""
    return whole_world.of_banks(*SAVINGS_BANKS)


@dataclass
class SinkProcess:
    """`python -m reku.simulator.sink` on a free port, with its files below `folder`."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[str] | None = None
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def truth(self) -> Path:
        return self.folder / "sink.jsonl"

    @property
    def maildir(self) -> Path:
        return self.folder / "mails"

    @property
    def rules(self) -> Path:
        return self.folder / "rules.json"

    def command(self) -> list[str]:
        places = ["--maildir", str(self.maildir), "--truth", str(self.truth), "--rules", str(self.rules)]
        return [sys.executable, "-m", "reku.simulator.sink", "--port", str(self.port), *places]

    def start(self) -> None:
        if not self.port:
            self.port = free_port()
        self.process = subprocess.Popen(self.command(), text=True)
        self.started.append(self.process)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None, "the sink ended by itself"
                assert time.monotonic() < deadline, "the sink does not answer"
                time.sleep(0.05)


@pytest.fixture
def sink(tmp_path: Path, clock_at: Callable[[datetime], None]) -> Iterator[SinkProcess]:
    """A running sink. It lives by the clock of its test, which must be set up before it starts."""
    assert clock_at
    running = SinkProcess(tmp_path / "sink")
    running.folder.mkdir()
    running.start()
    yield running
    for process in running.started:
        process.kill()
        process.wait()
