"""Commands as a person types them, in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from reku.cli import app

Reku = Callable[..., Result]


@pytest.fixture
def reku(monkeypatch: pytest.MonkeyPatch) -> Reku:
    """Run a command, with `typed` on standard input. What it raises and does not turn into a sentence is raised."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object, typed: str | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=typed, catch_exceptions=False)

    return run
