"""What `reku up` runs: nothing listens beyond this machine, nothing of another project's settings gets in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reku.foundation.errors import SetupError
from reku.foundation.settings import Settings, settings
from reku.runtime import airflow, up
from reku.runtime.home import Home


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    for name in list(os.environ):
        if name.startswith(("REKU_", "AIRFLOW")):
            monkeypatch.delenv(name)
    settings.cache_clear()
    home = Home(tmp_path / "var")
    home.make()
    yield home
    settings.cache_clear()


def test_every_process_listens_on_the_loopback_only(here: Home) -> None:
    plan = up.plan(here, sink=True)
    assert [service.name for service in plan.services] == [
        *("api-server", "scheduler", "dag-processor", "triggerer", "tracker", "sink")
    ]
    by_name = {service.name: service for service in plan.services}
    environment = by_name["api-server"].environment
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    # Airflow's log servers would listen on all interfaces.
    assert "--skip-serve-logs" in by_name["scheduler"].command
    assert "--skip-serve-logs" in by_name["triggerer"].command
    assert "127.0.0.1" in by_name["tracker"].command


def test_foreign_airflow_settings_do_not_get_in_and_ours_are_complete(
    here: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "KubernetesExecutor")
    monkeypatch.setenv("AIRFLOW__SMTP__SMTP_HOST", "mail.example")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    environment = up.environment(here)
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert "AIRFLOW__SMTP__SMTP_HOST" not in environment
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert environment["NO_PROXY"] == "intranet.example,127.0.0.1,localhost"
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith(
        "postgresql+psycopg2://postgres@/airflow?host=/"
    )
    assert environment["REKU_DATABASE_URL"].startswith("postgresql+psycopg://postgres@/reku?host=/")
    for name in ("REKU_SECRET_KEY", "REKU_TOKEN_KEYS", "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET"):
        assert environment[name]


def test_every_setting_that_is_passed_exists(here: Home) -> None:
    known = {f"REKU_{name.upper()}" for name in Settings.model_fields} | {"REKU_INSTANCE"}
    assert {name for name in up.environment(here, sink=True) if name.startswith("REKU_")} <= known


def test_the_operator_s_settings_win_over_defaults_and_the_demo_s_over_all(
    here: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REKU_FILES_URL", "/data/files")
    monkeypatch.setenv("REKU_SMTP_PORT", "2600")
    environment = up.environment(here, {"REKU_POKE_SECONDS": "1"}, sink=True)
    assert environment["REKU_FILES_URL"] == "/data/files"
    assert environment["REKU_SMTP_PORT"] == "2600"
    assert environment["REKU_POKE_SECONDS"] == "1"


def test_a_server_of_the_operator_s_own_needs_both_urls(here: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_DATABASE_URL", "postgresql+psycopg://reku@db.example/reku")
    with pytest.raises(SetupError, match="set both, or neither"):
        up.plan(here)
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql+psycopg2://airflow:secret@db.example/airflow")
    plan = up.plan(here)
    assert plan.database is None
    environment = plan.services[0].environment
    assert environment["REKU_DATABASE_URL"] == "postgresql+psycopg://reku@db.example/reku"
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"] == (
        "postgresql+psycopg://airflow:secret@db.example/airflow"
    )


def test_airflow_loads_the_heavy_imports_before_it_forks(here: Home) -> None:
    airflow.write_config(here, "a token")
    written = (here.airflow / "config" / "airflow_local_settings.py").read_text()
    names: dict[str, object] = {}
    exec(compile(written, "airflow_local_settings.py", "exec"), names)  # noqa: S102 - as Airflow does
    assert names["__all__"] == []


def test_the_dags_and_plugins_of_this_checkout_are_run(here: Home) -> None:
    environment = up.environment(here)
    for name in ("DAGS", "PLUGINS"):
        assert Path(environment[f"AIRFLOW__CORE__{name}_FOLDER"]).is_dir()
