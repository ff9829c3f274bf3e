"""Loaded by Airflow through `airflow_local_settings`: the heavy imports of tasks, once in the process they fork from.

great_expectations alone takes four to nine seconds; as a fork of a scheduler that has it, a task has it at once. Other
Airflow processes never run tasks and skip it.
"""

from __future__ import annotations

import importlib
import sys

FORKS_TASKS = ("scheduler", "worker")
HEAVY = (
    "great_expectations",
    "great_expectations.render.renderer.page_renderer",
    "great_expectations.render.view.view",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "pandas",
    "pyarrow.csv",
    "sqlalchemy.dialects.postgresql",
    "psycopg",
    "jinja2",
    "holidays",
    "pydantic_settings",
    # what the tasks call, with all that it imports; named here only, so that this room depends on none of them
    "reku.process.conditions",
    "reku.process.stages.await_control_file",
    "reku.process.stages.await_delivery",
    "reku.process.stages.validate",
    "reku.process.stages.release",
    "reku.process.stages.upsert_subscribers",
    "reku.process.stages.dispatch",
    "reku.process.stages.collect_responses",
    "reku.process.stages.export_feedback",
    "reku.process.stages.report",
    "reku.process.alarming.raising",
    "reku.process.failed_work",
    "reku.process.intake",
    "reku.process.daily_feedback",
)

if any(word in sys.argv[1:] for word in FORKS_TASKS):
    for name in HEAVY:
        importlib.import_module(name)
