"""The environment of Airflow's processes in the embedded set-up: all by variables, nothing by airflow.cfg.

Airflow itself is never imported here: it costs seconds, and `reku up` is to answer at once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from reku.foundation.encryption import airflow_sent_in_clear
from reku.foundation.errors import SetupError
from reku.foundation.private_files import private_folder
from reku.foundation.settings import INCLUDE, SHORTEST_KEY
from reku.runtime.home import Home
from reku.runtime.ports import LOOPBACK

PARALLELISM = 6
"""Tasks at once: two cores, and most tasks wait for the database or the relay."""

ADMINISTRATOR = "admin"
"""The one account of the embedded set-up; its password is `REKU_UI_TOKEN`."""

_SHORTEST = {
    "AIRFLOW__API_AUTH__JWT_SECRET": 64,  # bytes of HMAC-SHA512 (RFC 7518 section 3.2)
    "AIRFLOW__API__SECRET_KEY": SHORTEST_KEY,
    "AIRFLOW__CORE__FERNET_KEY": SHORTEST_KEY,
}

_LOCAL_SETTINGS = '''"""Written by `reku up`: what task processes need is loaded once, before they fork."""

import reku.runtime.preload  # noqa: F401 - the import is the work

__all__: list[str] = []
'''


def environment(home: Home, *, ui_port: int, database_url: str, async_database_url: str) -> dict[str, str]:
    """The `AIRFLOW…` variables for one set-up, without its secrets (see `Home.secret_environment`)."""
    address = f"http://{LOOPBACK}:{ui_port}"
    project = INCLUDE.parent
    return {
        "AIRFLOW_HOME": str(home.airflow),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url,
        # Airflow would derive a URL for asyncpg, which nothing else here needs; psycopg 3 does both.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": async_database_url,
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
        "AIRFLOW__CORE__DAGS_FOLDER": str(project / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(project / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__MAX_MAP_LENGTH": "4096",
        # The loopback is open to every account of the machine, and to every page that a browser on it shows.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMINISTRATOR}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords(home)),
        "REKU_UI_HOSTS": f"{LOOPBACK},localhost",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        # The default asks DNS for the full name, which may hang without a network.
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(ui_port),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__INSTANCE_NAME": "reku",
        "AIRFLOW__API__DEFAULT_WRAP": "True",  # a log's lines end at the edge of the screen, not beyond it
        # What a killed scheduler had in hand is taken up within a minute, not within five.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        # A task's supervisor may notice its end one such interval late, and keeps its worker so long.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home.airflow / "logs"),
        "GX_ANALYTICS_ENABLED": "false",
        # Task processes are forks; a pool of threads in a numeric library does not survive one.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def login_address(ui_port: int, token: str) -> str:
    """Where a browser is logged in: whoever knows the token is the administrator."""
    return f"http://{LOOPBACK}:{ui_port}/reku/login?token={token}"


def check_variables(variables: Mapping[str, str]) -> None:
    """Raises SetupError if a key of Airflow's can be guessed or, in production, its database is reached in clear."""
    faults = [
        f"{name} has fewer than {least} characters and can be guessed; take what `openssl rand -base64 64` prints"
        for name, least in _SHORTEST.items()
        if 0 < len(variables.get(name, "")) < least
    ]
    if variables.get("REKU_ENVIRONMENT") == "P":
        faults += airflow_sent_in_clear(variables)
    if faults:
        raise SetupError(f"Wrong setting in the environment: {'; '.join(faults)}.")


def write_config(home: Home, token: str) -> None:
    """Write what Airflow reads from files: the import of `reku.runtime.preload`, and the administrator's password."""
    folder = private_folder(home.airflow / "config")
    _write_passwords(_passwords(home), token)
    file = folder / "airflow_local_settings.py"
    if not file.exists() or file.read_text(encoding="utf-8") != _LOCAL_SETTINGS:
        file.write_text(_LOCAL_SETTINGS, encoding="utf-8")


def _passwords(home: Home) -> Path:
    return home.airflow / "passwords.json"


def _write_passwords(file: Path, token: str) -> None:
    draft = file.with_suffix(".tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        json.dump({ADMINISTRATOR: token}, stream)
    draft.replace(file)


def command(*arguments: str) -> tuple[str, ...]:
    """The command line of an Airflow process; `-P` keeps the current folder out of the module path."""
    return (sys.executable, "-P", "-m", "airflow", *arguments)


def schema_version() -> str:
    """What a metadata database says about itself once it is migrated for the installed Airflow."""
    return f"apache-airflow {version('apache-airflow')}"


def configured(home: Home) -> bool:
    """Whether Airflow has written its airflow.cfg; several first commands at once would write over one another."""
    return Path(home.airflow / "airflow.cfg").exists()
