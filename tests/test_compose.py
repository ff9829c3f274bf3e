"""docker-compose.yaml, checked without an engine: services, settings, secrets, bindings, commands."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from reku.foundation.errors import SetupError
from reku.foundation.settings import Settings
from reku.runtime import airflow, health, prepare
from reku.runtime.home import Home
from reku.runtime.postgres import Postgres

PROJECT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service.get("build"))
INTERPOLATION = re.compile(r"\$\{([A-Z_]+)(?:(:[?-])([^}]*))?\}")


def variables(service: str) -> dict[str, str]:
    return SERVICES[service]["environment"]


def test_every_process_is_there_and_waits_for_both_migrations() -> None:
    assert set(SERVICES) == {
        *("postgres", "redis", "init"),
        *("api-server", "scheduler", "dag-processor", "triggerer", "worker", "tracker"),
    }
    for name in OURS:
        needed = SERVICES[name]["depends_on"]
        if name == "init":
            assert {part["condition"] for part in needed.values()} == {"service_healthy"}
            assert SERVICES[name]["restart"] == "no"
        else:
            assert needed == {"init": {"condition": "service_completed_successfully"}}
            assert SERVICES[name]["restart"] == "unless-stopped"


def test_every_service_that_stays_has_a_health_check() -> None:
    for name, service in SERVICES.items():
        assert ("healthcheck" in service) == (name != "init"), name


def test_images_are_pinned() -> None:
    assert SERVICES["postgres"]["image"] == "postgres:18"
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[a-z]+:\d+(\.\d+)*", service["image"]), name
    first = re.search(r"^FROM (\S+)$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    assert first is not None
    assert first.group(1) == "python:3.12-slim"


def test_what_is_published_is_bound_to_the_loopback() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 2
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert not any("network_mode" in service or "privileged" in service for service in SERVICES.values())


def test_every_reku_variable_is_a_setting_and_its_default_is_valid() -> None:
    known = {f"REKU_{name.upper()}" for name in Settings.model_fields}
    given = {name: value for name, value in variables("worker").items() if name.startswith("REKU_")}
    assert set(given) <= known
    assert {"REKU_DATABASE_URL", "REKU_FILES_URL", "REKU_SECRET_KEY", "REKU_TOKEN_KEYS"} <= set(given)
    filled = {
        name: INTERPOLATION.sub(lambda m: (m[3] or "") if m[2] == ":-" else "x" * 48, v) for name, v in given.items()
    } | {"REKU_TRACKER_PROXIES": "192.0.2.7"}
    Settings(**{name.removeprefix("REKU_").lower(): value for name, value in filled.items()})


def test_all_of_ours_share_one_environment_and_the_files() -> None:
    for name in OURS:
        assert variables(name) == variables("worker")
        assert "data:/data" in SERVICES[name]["volumes"]
        assert f"journal:{variables(name)['REKU_JOURNAL_DIR']}" in SERVICES[name]["volumes"]
        assert f"tracker:{variables(name)['REKU_TRACKER_DIR']}" in SERVICES[name]["volumes"]


@pytest.mark.parametrize(
    "name",
    [
        "REKU_SECRET_KEY",
        "REKU_TOKEN_KEYS",
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
    ],
)
def test_a_secret_comes_from_the_environment_and_its_absence_is_an_error(name: str) -> None:
    found = INTERPOLATION.fullmatch(variables("worker")[name])
    assert found is not None
    assert found.group(2) == ":?"
    assert found.group(3), "it says what is missing"


def test_no_password_stands_in_a_url() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            for password in re.findall(r"://[^:/@]+:([^@]+)@", str(value)):
                assert INTERPOLATION.fullmatch(password), f"{name}: {variable}"
    assert INTERPOLATION.fullmatch(variables("postgres")["POSTGRES_PASSWORD"])
    assert variables("worker").get("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "False") == "False"


def test_where_it_differs_from_the_embedded_set_up_it_does_so_on_purpose(tmp_path: Path) -> None:
    embedded = airflow.environment(
        Home(tmp_path), ui_port=8080, database_url="postgresql://", async_database_url="postgresql://"
    )
    there = variables("worker")
    same = [name for name in embedded if name in there and there[name] == embedded[name]]
    assert {
        "AIRFLOW__CORE__LOAD_EXAMPLES",
        "AIRFLOW__CORE__MAX_MAP_LENGTH",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED",
        "GX_ANALYTICS_ENABLED",
    } <= set(same)


def test_modules_that_are_run_exist() -> None:
    for name in OURS:
        for line in (SERVICES[name]["command"], SERVICES[name].get("healthcheck", {}).get("test", [])):
            for flag, module in itertools.pairwise(line):
                if flag == "-m":
                    assert importlib.util.find_spec(module), f"{name}: {module}"


@pytest.mark.processes
def test_airflow_knows_its_commands(tmp_path: Path) -> None:
    lines = [SERVICES[name]["command"][1:] for name in OURS if SERVICES[name]["command"][0] == "airflow"]
    assert len(lines) == 5
    script = (
        "import json, sys; from airflow.cli import cli_parser\n"
        "for line in json.loads(sys.argv[1]): cli_parser.get_parser().parse_args(line)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(lines)],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_health_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main(["scheduler", "http://127.0.0.1:1"]) == 1
    assert "does not answer" in capsys.readouterr().err
    assert health.main(["tracker", "http://127.0.0.1:1"]) == 1


def test_prepare_creates_the_missing_database(postgres: Postgres) -> None:
    prepare.create_database(postgres.url("made_by_prepare"))
    prepare.create_database(postgres.url("made_by_prepare"))
    assert postgres.description("made_by_prepare") is None
    postgres.describe("made_by_prepare", "is there")
    assert postgres.description("made_by_prepare") == "is there"


def test_prepare_names_the_variable_of_a_server_that_is_away() -> None:
    with pytest.raises(SetupError, match="server of REKU_DATABASE_URL can't be reached"):
        prepare.create_database("postgresql+psycopg://reku@127.0.0.1:1/reku")
