"""Commands, and what runs in Airflow, only draw: what is asked of the tables stands in `views` and in the stages."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import PROJECT

DRAW = ("cli", "orchestration")


def asks(source: str) -> bool:
    """Whether a module knows the tables, or more of SQLAlchemy than the names of its types."""
    tree = ast.parse(source)
    for_types = {id(node) for block in ast.walk(tree) if _is_for_types(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            named = [f"{node.module}.{alias.name}" for alias in node.names]
        if any(_is_of_tables(name) for name in named):
            return True
    return False


def _is_of_tables(name: str) -> bool:
    """Errors of the database are no question to it."""
    return name.startswith(("sqlalchemy", "reku.store.tables")) and not name.startswith("sqlalchemy.exc")


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


OF_AIRFLOW = ("day_runs.py", "failed_tasks.py", "task_acts.py")
"""Ask Airflow's own tables, which no other room may know; ours they do not."""
MODULES = [
    file
    for room in DRAW
    for file in sorted((PROJECT / "include" / "reku" / room).rglob("*.py"))
    if file.name not in OF_AIRFLOW
]


@pytest.mark.parametrize("module", MODULES, ids=lambda file: f"{file.parent.name}.{file.stem}")
def test_no_command_and_no_operator_asks_the_tables(module: Path) -> None:
    assert not asks(module.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", OF_AIRFLOW)
def test_what_asks_airflow_asks_none_of_our_tables(module: str) -> None:
    source = (PROJECT / "include" / "reku" / "orchestration" / module).read_text(encoding="utf-8")
    assert "reku.store" not in source


def test_what_asks_is_found() -> None:
    assert asks("def f():\n    import sqlalchemy as sa\n")
    assert asks("def f():\n    from sqlalchemy import select\n")
    assert asks("from reku.store import tables\n")
    assert asks("from reku.store.tables import orders\n")
    assert not asks("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import sqlalchemy as sa\n")
    assert not asks("from sqlalchemy.exc import DBAPIError\n")
    assert not asks("from reku.store.states import DeliveryState\n")
    assert len(MODULES) > 30
