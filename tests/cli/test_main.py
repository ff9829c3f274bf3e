"""`reku` as a program of its own: quick to answer, never a traceback for what a person can mend."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Reku

REKU = Path(sys.executable).with_name("reku")
ASKING = [
    ("orders",),
    ("lists",),
    ("deliveries", "list"),
    ("deliveries", "show", "1"),
    ("deliveries", "retry", "1"),
    ("deliveries", "watch"),
    ("deliveries", "go-on", "1", "--note", "looked at"),
    ("files", "list"),
    ("messages", "list"),
    ("messages", "in-doubt"),
    ("messages", "resolve", "99950001", "X", "--sent", "--note", "log"),
    ("messages", "resolve", "99950001", "--delivery", "1", "--all", "--sent", "--note", "log"),
    ("stop", "order", "99950001", "X", "--note", "why"),
    ("stop", "everything", "--note", "why"),
    ("stop", "list"),
    ("stop", "lift", "1", "--note", "why"),
    ("why", "X"),
    ("funnel",),
    ("feedback", "list"),
    ("feedback", "show", "1", "--institute", "99950001"),
]


@pytest.mark.processes
def test_nothing_heavy_is_loaded_before_a_command_is_known() -> None:
    program = "import sys, reku.cli; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "typer" in loaded
    assert loaded & {"sqlalchemy", "pandas", "great_expectations", "mjml", "airflow", "psycopg", "pydantic"} == set()


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([REKU, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.mark.processes
@pytest.mark.parametrize("url", ["postgresql+psycopg://nobody@127.0.0.1:1/reku", "postgresql+psycopg://@/x?host=/none"])
def test_a_database_that_does_not_answer_is_one_sentence(url: str) -> None:
    done = _run("orders", REKU_DATABASE_URL=url)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "does not answer" in done.stderr
    assert "Is `reku up` or `make demo` running?" in done.stderr


@pytest.mark.processes
def test_no_set_up_of_this_checkout_is_running(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = _run("orders", REKU_HOME=str(home))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "start the set-up with `reku up` or `make demo`" in done.stderr
    assert not home.exists(), "asking makes no set-up"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("REKU_DATABASE_URL", "nonsense", "postgresql+psycopg://"),
        ("REKU_DATABASE_URL", "mysql://u:geheim@h/d", "postgresql+psycopg://"),
        ("REKU_DATABASE_URL", "postgresql+nothing://u:geheim@h/d", "postgresql+psycopg://"),
        ("REKU_TRACKER_PORT", "x", "REKU_TRACKER_PORT"),
    ],
)
def test_a_wrong_setting_is_one_sentence_without_secrets(
    reku: Reku, reku_settings: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv("REKU_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/reku")
    monkeypatch.setenv(variable, value)
    done = reku("orders")
    assert done.exit_code == 1
    assert said in done.stderr
    assert "geheim" not in done.output


@pytest.mark.parametrize("arguments", ASKING, ids=" ".join)
def test_a_database_without_our_tables_is_one_sentence(
    reku: Reku, reku_settings: Path, monkeypatch: pytest.MonkeyPatch, postgres: object, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("REKU_DATABASE_URL", postgres.url("postgres"))  # type: ignore[attr-defined] # a Postgres
    done = reku(*arguments)
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "not migrated" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("nosuch",),
        ("orders", "--nosuch"),
        ("orders", "--institute", "1234"),
        ("orders", "--institute", "9995000１"),  # a full-width digit is no digit of a BLZ
        ("messages", "resolve", "1234", "X", "--sent", "--note", "log"),
        ("messages", "resolve", "99950001", "X", "--note", "log"),
        ("messages", "resolve", "99950001", "--sent", "--note", "log"),
        ("messages", "resolve", "99950001", "--delivery", "1", "--sent", "--note", "log"),
        ("messages", "resolve", "99950001", "--all", "--sent", "--note", "log"),
        ("messages", "resolve", "99950001", "X", "--delivery", "1", "--all", "--sent", "--note", "log"),
        ("messages", "resolve", "99950001", "--delivery", "1", "--all", "--note", "log"),
        ("deliveries", "show", "x"),
        ("deliveries", "go-on", "1"),
        ("deliveries", "watch", "x"),
        ("stop", "everything"),
        ("stop", "institute", "1234", "--note", "why"),
        ("stop", "order", "99950001", "--note", "why"),
        ("stop", "lift", "1"),
        ("feedback", "show", "0", "--institute", "99950001"),
        ("bench", "nosuch"),
        ("bench", "parse", "--rounds", "4"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_two(reku: Reku, arguments: tuple[str, ...]) -> None:
    done = reku(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Usage: " in done.stderr


@pytest.mark.parametrize(
    ("command", "option", "value", "said"),
    [
        (("deliveries", "list"), "--state", "LOADET", "Did you mean LOADED?"),
        (("files", "list"), "--verdict", "UNKNOW", "Did you mean UNKNOWN?"),
        (("messages", "list"), "--state", "GONE", "OPEN, CLAIMED, PREPARED, SENT"),
    ],
)
def test_a_wrong_choice_names_the_right_ones(
    reku: Reku, command: tuple[str, ...], option: str, value: str, said: str
) -> None:
    done = reku(*command, option, value)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


def test_ctrl_c_is_130(reku: Reku, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**_: object) -> int:
        signal.raise_signal(signal.SIGINT)
        return 0

    monkeypatch.setattr("reku.runtime.up.main", interrupted)
    done = reku("up")
    assert done.exit_code == 130
    assert "Traceback" not in done.output


def test_no_permission_is_one_sentence(reku: Reku, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> int:
        raise PermissionError(13, "Permission denied", "/some/where")

    monkeypatch.setattr("reku.runtime.up.main", refused)
    done = reku("up")
    assert (done.exit_code, done.stderr.startswith("/some/where: Permission denied. Allow it")) == (1, True)


def test_a_fault_of_ours_keeps_its_traceback(reku: Reku, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("reku.runtime.up.main", broken)
    with pytest.raises(ZeroDivisionError):
        reku("up")


@pytest.mark.parametrize("stage", ["render", "kill"])
def test_where_only_the_package_is_there_no_benchmark_runs_and_it_says_why(
    reku: Reku, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setitem(sys.modules, "reku_testing", None)  # as if it were not installed
    done = reku("bench", stage)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Run `make bench` in a checkout." in done.stderr


@pytest.mark.parametrize("code", [0, 1, 130])
def test_the_demo_ends_with_its_own_exit_code(reku: Reku, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    told: dict[str, int] = {}

    def played(**options: int) -> int:
        told.update(options)
        return code

    monkeypatch.setattr("reku.demo.main", played)
    assert reku("demo", "--once").exit_code == code
    assert told == {"once": True, "fresh": False, "days": 3}


@pytest.mark.processes
@pytest.mark.parametrize("form", ["", "--json"])
def test_a_pipe_that_is_closed_is_no_fault(form: str) -> None:
    done = subprocess.run(["bash", "-c", f"'{REKU}' occasions {form} | true"], capture_output=True, check=False)
    assert done.stderr == b""


@pytest.mark.processes
def test_a_terminal_without_umlauts_is_no_fault() -> None:
    done = _run("occasions", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "F\\xe4lligkeiten" in done.stdout
