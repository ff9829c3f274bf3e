"""Airflow for tests in this process: import this module before anything of Airflow.

A home of its own, with metadata in the tests' PostgreSQL.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from reku.foundation import clock

PROJECT = Path(__file__).resolve().parents[2]

HOME = Path(tempfile.mkdtemp(prefix="reku-airflow-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

(HOME / "dags").mkdir()

os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    # empty: dag.test() would bring every DAG of the folder into the metadata tables, each time
    "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
    "AIRFLOW__CORE__MAX_MAP_LENGTH": "4096",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "AIRFLOW__API_AUTH__JWT_SECRET": "x" * 64,
    "GX_ANALYTICS_ENABLED": "false",
}


def read_dags() -> Any:
    """A DagBag of all our DAGs by the configuration of now."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(PROJECT / "dags")


def shipped_dags() -> Any:
    """All our DAGs as they are shipped, read once, since that takes seconds; without schedule if the clock is moved."""
    return _shipped_dags(clock.is_moved())


@cache
def _shipped_dags(_clock_is_moved: bool) -> Any:
    return read_dags()
