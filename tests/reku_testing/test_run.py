"""How a test run works: it fails if a test leaves something, hands out the expensive first, lets Ctrl-C through."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

Run = Callable[..., subprocess.CompletedProcess[str]]

LEAVING = """
import pathlib, socket, subprocess, sys, threading

servers = []

def test_file():
    pathlib.Path("left.txt").write_text("left")

def test_process():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

def test_orphan():
    orphan = "import subprocess; subprocess.Popen(['sleep', '61'], stdout=subprocess.DEVNULL, start_new_session=True)"
    subprocess.run([sys.executable, "-c", orphan], check=True)

def test_server():
    servers.append(socket.create_server(("127.0.0.1", 0)))
    print(f"port {servers[0].getsockname()[1]}")

def test_thread():
    threading.Thread(target=threading.Event().wait, args=(20,), name="forgotten").start()

def test_tidy():
    subprocess.run(["true"])
    with socket.create_server(("127.0.0.1", 0)):
        pass
"""
ORDERED = {
    "test_a.py": "def test_pure(): pass\n",
    "test_b.py": "def test_database(postgres): pass\n",
    "test_c.py": "import pytest\n@pytest.mark.processes\ndef test_processes(): pass\ndef test_beside(): pass\n",
    "tests/e2e/test_d.py": "import pytest\n@pytest.mark.e2e\ndef test_e2e(): pass\n",
}
CRASHING = {
    "test_a.py": "import os\ndef test_before(): pass\ndef test_ends(): os._exit(1)\ndef test_after(): pass\n",
    "test_b.py": "def test_beside(): pass\n",
}
INTERRUPTED = """
import signal, subprocess, sys

def test_programs_can_be_interrupted():
    program = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).stdout == b"True\\n"
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run these files as a checkout of their own: `run({"test_x.py": text}, "-n2")`."""

    def run(files: dict[str, str], *arguments: str, **how: object) -> subprocess.CompletedProcess[str]:
        (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  airflow\n  database\n  processes\n  e2e\n")
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
        command = [sys.executable, "-m", "pytest", "-p", "reku_testing.plugin", *arguments]
        how["env"] = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, **how)  # type: ignore[call-overload]

    return run


def test_what_a_test_leaves_fails_the_run_and_is_named(run: Run) -> None:
    done = run({"test_leaving.py": LEAVING}, "-rP")
    assert done.returncode == 1
    port = done.stdout.partition("\nport ")[2].split()[0]
    for told in (
        "file in the checkout: left.txt",
        "time.sleep(60), started in test_leaving.py::test_process",
        "sleep 61, started in test_leaving.py::test_orphan",
        f"a server on port {port} of this process",
        "thread forgotten",
    ):
        assert told in done.stdout
    assert "test_tidy (call)" not in done.stdout


def test_what_takes_longest_is_handed_out_first(run: Run) -> None:
    done = run(ORDERED, "--collect-only", "-q")
    assert [line for line in done.stdout.splitlines() if "::" in line] == [
        "tests/e2e/test_d.py::test_e2e",
        "test_c.py::test_processes",
        "test_c.py::test_beside",
        "test_b.py::test_database",
        "test_a.py::test_pure",
    ]


def test_any_order_can_be_had_and_had_again(run: Run) -> None:
    files = {f"test_{name}.py": "".join(f"def test_{n}(): pass\n" for n in range(9)) for name in "abcdef"}
    first, again, other = (
        [line for line in run(files, "--collect-only", "-q", "--shuffle", seed).stdout.splitlines() if "::" in line]
        for seed in ("1", "1", "2")
    )
    assert first == again
    assert first != other != sorted(other)
    assert sorted(first) == sorted(other)
    assert len(list(groupby(first, lambda line: line.partition("::")[0]))) == 6  # files stay whole


def test_a_test_that_ends_its_worker_fails_once_and_those_after_it_run(run: Run) -> None:
    done = run(CRASHING, "-n1", "-v")
    assert done.returncode == 1
    assert "FAILED test_a.py::test_ends" in done.stdout
    assert done.stdout.count("replacing crashed worker") == 1
    assert "1 failed, 3 passed" in done.stdout


def test_what_shares_an_airflow_goes_to_one_worker(run: Run) -> None:
    asks = "def test_worker(request): print('by', request.config.workerinput['workerid'])"
    done = run({f"tests/dags/test_{name}.py": asks for name in ("one", "two", "three", "four")}, "-n2", "-rP")
    assert done.returncode == 0, done.stdout
    told = re.findall(r"^by gw\d", done.stdout, re.MULTILINE)
    assert len(told) == 4
    assert len(set(told)) == 1


def test_a_test_with_airflow_elsewhere_is_told_where_to_name_its_file(run: Run) -> None:
    done = run({"tests/test_one.py": "import pytest\n@pytest.mark.airflow\ndef test_one(): pass\n"})
    assert done.returncode != 0
    assert "tests/test_one.py::test_one is marked airflow: its file must stand in" in done.stdout + done.stderr


def test_workers_share_one_server_and_its_template(run: Run) -> None:
    asks = """
import sqlalchemy as sa
def test_server(postgres, request):
    with sa.create_engine(postgres.url("reku_template")).connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM reku.messages")) == 0
        started = connection.scalar(sa.text("SELECT pg_postmaster_start_time()"))
    print("started", started, "by", request.config.workerinput["workerid"])
"""
    done = run({"test_one.py": asks, "test_two.py": asks}, "-n2", "-rP")
    assert done.returncode == 0, done.stdout
    told = [line for line in done.stdout.splitlines() if line.startswith("started")]
    assert len({line.partition(" by ")[0] for line in told}) == 1
    assert len({line.partition(" by ")[2] for line in told}) == 2


def test_started_as_nohup_does_programs_can_still_be_interrupted(run: Run) -> None:
    ignore = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # noqa: E731 - for the child alone
    assert run({"test_interrupted.py": INTERRUPTED}, preexec_fn=ignore).returncode == 0
