"""The demo as a newcomer runs it, on real Airflow processes, with its scheduler killed in the middle of the work."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from reku.records import contracts, read
from reku.runtime.home import Home
from reku.runtime.ports import is_free
from reku.runtime.postgres import Postgres
from reku.simulator.customers import is_control_copy
from reku.simulator.people import DOMAINS
from reku_testing.ports import free_port
from reku_testing.throwaway import delete

pytestmark = [pytest.mark.e2e, pytest.mark.processes]

REKU = Path(sys.executable).parent / "reku"
PATIENCE = 900  # seconds; a machine under load may take several times as long as a quiet one


@dataclass
class Demo:
    """A demo of its own: home, ports, output."""

    home: Home
    ports: dict[str, int]
    output: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"REKU_HOME": str(self.home.path.parent)} | {k: str(v) for k, v in self.ports.items()}

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [REKU, "demo", "--once", "--days", "1"],
            env=self.environment,
            stdout=self.output.open("ab"),
            stderr=subprocess.STDOUT,
        )

    def done(self) -> list[str]:
        file = self.home.path / "demo.json"
        return list(json.loads(file.read_text())["done"]) if file.exists() else []

    def processes(self) -> list[psutil.Process]:
        """Every process that carries the mark of this set-up."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("REKU_INSTANCE") == self.home.instance:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def truth(self) -> list[dict[str, str]]:
        lines = (self.home.path / "sink" / "sink.jsonl").read_text(encoding="utf-8").splitlines()
        return [entry for entry in map(json.loads, lines) if entry["what"] == "taken" and not is_control_copy(entry)]

    def reported(self) -> Counter[tuple[str, str]]:
        files = sorted(self.home.files.glob("*/ausgang/response_*.csv"))
        assert files
        events = [
            (row["Ereignis_ID"], row["Ereignis_Art"])
            for file in files
            for row in read(contracts()["RESPONSE"], file.read_bytes(), environment="T").as_dicts()
        ]
        assert len({event for event, _ in events}) == len(events), "an event was reported twice"
        return Counter(events)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    ports = {name: free_port() for name in ("REKU_UI_PORT", "REKU_TRACKER_PORT", "REKU_SMTP_PORT")}
    running = Demo(Home(tmp_path / "home" / "demo"), ports, tmp_path / "demo.log")
    yield running
    for process in running.processes():
        process.kill()
    delete(Postgres(running.home.database))


def _wait(process: subprocess.Popen[bytes], demo: Demo, step: str) -> None:
    begun = time.monotonic()
    while step not in demo.done():
        assert process.poll() is None, demo.output.read_text()[-3000:]
        assert time.monotonic() - begun < PATIENCE, demo.output.read_text()[-3000:]
        time.sleep(0.5)


def test_demo_tells_the_truth_though_its_scheduler_is_killed(demo: Demo) -> None:
    process = demo.start()
    _wait(process, demo, "1: loaded")

    page = httpx.get(f"http://127.0.0.1:{demo.ports['REKU_UI_PORT']}/", trust_env=False)
    assert page.status_code == 200
    second = subprocess.run([REKU, "demo", "--once"], env=demo.environment, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "Traceback" not in second.stderr + second.stdout
    assert str(process.pid) in second.stderr + second.stdout

    (scheduler, *_) = sorted(
        (one for one in demo.processes() if "scheduler" in one.cmdline()), key=lambda one: one.create_time()
    )
    while not demo.truth():  # mails are going out
        time.sleep(0.1)
    os.kill(scheduler.pid, signal.SIGKILL)

    assert process.wait(PATIENCE) == 0, demo.output.read_text()[-3000:]
    output = demo.output.read_text()
    assert "0 missing, 0 too many" in output.replace("\n", " ")

    taken = demo.truth()
    assert len({(entry["recipient"], entry["feedback_id"]) for entry in taken}) == len(taken), "a mail was sent twice"
    kinds = Counter(kind for _, kind in demo.reported())
    assert kinds["VERS"] <= len(taken)
    assert {"VERS", "NVER", "OEFF", "KLIC", "ABME", "HBOU", "SBOU"} <= set(kinds)

    assert demo.processes() == []
    assert all(is_free(port) for port in demo.ports.values())
    _no_personal_data(demo)


def _no_personal_data(demo: Demo) -> None:
    """No address and no person number in any log (docs/domain.md, rule 22)."""
    numbers = re.compile(r"(?<!\d)0000\d{6}(?!\d)")
    addresses = re.compile(rf"[\w.+-]+@({'|'.join(map(re.escape, DOMAINS))})", re.IGNORECASE)
    logs = [file for file in (*demo.home.logs.rglob("*"), *(demo.home.airflow / "logs").rglob("*")) if file.is_file()]
    assert len(logs) > 100
    for file in logs:
        text = file.read_text(encoding="utf-8", errors="replace")
        assert not addresses.search(text), f"{file} holds an address"
        assert not numbers.search(text), f"{file} holds a person number"
