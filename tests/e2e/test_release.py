"""A person's answers reach waiting tasks though the scheduler is killed: real Airflow processes, mail server, files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

from reku.foundation.settings import INCLUDE, settings
from reku.release.question import APPROVE, DECLINE
from reku.runtime.airflow import ADMINISTRATOR
from reku.runtime.airflow_api import AirflowApi
from reku.runtime.home import Home
from reku.runtime.postgres import Postgres
from reku.simulator.customers import is_control_copy
from reku_testing import banks
from reku_testing.bank_files import BANK, OTHER, deliver, order, people, reported
from reku_testing.ports import free_port
from reku_testing.throwaway import delete

pytestmark = [pytest.mark.e2e, pytest.mark.processes]

REKU = Path(sys.executable).parent / "reku"
PATIENCE = 600  # seconds; a machine under load may take several times as long as a quiet one
DAG = "reku_mcag002"
ENDED = ("success", "failed")
NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)


def _processes(home: Home) -> list[psutil.Process]:
    """Every process that carries the mark of this set-up."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("REKU_INSTANCE") == home.instance:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _until(reached: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    begun = time.monotonic()
    while not reached():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() - begun < PATIENCE, log.read_text()[-3000:]
        time.sleep(0.5)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reku_settings: Path) -> Iterator[Home]:
    """A set-up of its own whose banks want to see each order's first delivery."""
    config = banks.configure(monkeypatch, tmp_path / "config")
    (config / "institutes" / "99950001.yaml").unlink()
    for bank in (BANK, OTHER):
        shipped = (INCLUDE / "institutes" / f"{bank}.yaml").read_text(encoding="utf-8")
        (config / "institutes" / f"{bank}.yaml").write_text(f"{shipped}\napprove_first: true\n", encoding="utf-8")
    for name in ("REKU_UI_PORT", "REKU_TRACKER_PORT", "REKU_SMTP_PORT"):
        monkeypatch.setenv(name, str(free_port()))
    monkeypatch.setenv("REKU_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REKU_RESPONSE_WINDOW_SECONDS", "0")
    monkeypatch.setenv("REKU_POKE_SECONDS", "1")
    settings.cache_clear()
    here = Home(tmp_path / "home")
    yield here
    for process in _processes(here):
        process.kill()
    delete(Postgres(here.database))


def test_answers_given_while_the_scheduler_is_dead_are_taken_up(
    home: Home, tmp_path: Path, clock_at: Callable[[datetime], None]
) -> None:
    clock_at(NOON)
    for bank, size in ((BANK, 3), (OTHER, 2)):
        order(bank)
        deliver(1, people(size), bank)
    log = tmp_path / "up.log"
    process = subprocess.Popen([REKU, "up", "--sink"], stdout=log.open("wb"), stderr=subprocess.STDOUT)
    _until(lambda: "everything is up" in log.read_text(), process, log)
    address = f"http://127.0.0.1:{settings().ui_port}"
    token = home.secret_environment()["REKU_UI_TOKEN"]
    assert f"{address}/reku/login?token={token}" in log.read_text()
    airflow = AirflowApi(address, token)
    _until(lambda: all(map(airflow.known, ("reku_intake", "reku_feedback", DAG))), process, log)
    airflow.trigger("reku_intake", "first")
    _until(lambda: airflow.state("reku_intake", "first") in ENDED, process, log)
    assert airflow.state("reku_intake", "first") == "success"
    airflow.trigger(DAG, "first", day="2026-11-24")

    def states(task: str) -> dict[int, str]:
        return {one["map_index"]: one["state"] for one in airflow.tasks(DAG, "first") if one["task_id"] == task}

    _until(lambda: list(states("delivery.release").values()) == ["awaiting_input"] * 2, process, log)
    schedulers = [one for one in _processes(home) if "scheduler" in one.cmdline()]
    for scheduler in schedulers:
        os.kill(scheduler.pid, signal.SIGKILL)
    assert schedulers
    with httpx.Client(base_url=address, trust_env=False) as http:
        assert http.get("/auth/token").status_code == 403, "no local account is the administrator without the token"
        assert http.get("/api/v2/connections").status_code == 401
        assert http.get("/api/v2/version", headers={"Host": "evil.example"}).status_code == 400
        account = {"username": ADMINISTRATOR, "password": token}
        session = http.post("/auth/token", json=account).raise_for_status().json()["access_token"]
        for index, answer in enumerate((APPROVE, DECLINE)):
            http.patch(
                f"/api/v2/dags/{DAG}/dagRuns/first/taskInstances/delivery.release/{index}/hitlDetails",
                json={"chosen_options": [answer], "params_input": {"note": "wrong people"}},
                headers={"Authorization": f"Bearer {session}"},
            ).raise_for_status()

    _until(lambda: states("delivery.collect_responses").get(0) == "deferred", process, log)
    airflow.trigger("reku_collect", "first")  # by itself every minute, but where the clock is moved
    _until(lambda: airflow.state(DAG, "first") in ENDED, process, log)
    assert airflow.state(DAG, "first") == "failed"
    assert states("delivery.release") == {0: "success", 1: "failed"}
    assert states("delivery.dispatch") == {0: "success", 1: "upstream_failed"}
    airflow.trigger("reku_feedback", "first")
    _until(lambda: airflow.state("reku_feedback", "first") in ENDED, process, log)
    assert airflow.state("reku_feedback", "first") == "success"
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) in (0, 130)
    assert _processes(home) == []
    assert "state attribute is" not in "".join(file.read_text() for file in home.logs.glob("scheduler*")), (
        "the end of a task's first part was taken for that of what came after its wait"
    )

    lines = (home.path / "sink" / "sink.jsonl").read_text(encoding="utf-8").splitlines()
    taken = [entry for entry in map(json.loads, lines) if entry["what"] == "taken" and not is_control_copy(entry)]
    assert Counter(entry["recipient"] for entry in taken) == {f"person{n}@kunde.example": 1 for n in (1, 2, 3)}
    assert reported(BANK) == {("VERS", ""): 3}
    assert reported(OTHER) == {("NVER", "FREIGABE_VERWEIGERT"): 2}
