"""A bank in an empty database, on a Tuesday in November."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku_testing import contacting
from reku_testing.contacting import Bank
from reku_testing.dispatching import Sink, change_settings
from reku_testing.smtp import running

Rules = Callable[..., None]


@pytest.fixture
def bank(database: sa.Engine, clock_at: Callable[[datetime], None]) -> Bank:
    clock_at(contacting.NOW)
    return Bank(database)


@pytest.fixture
def sink(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    """A relay that our settings point to."""
    sink = Sink()
    with running(sink):
        change_settings(monkeypatch, smtp_port=sink.port)
        yield sink


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rules:
    """Writes the bank's file: `rules(campaigns, blocking_days={…})`, see `contacting.rules`."""

    def write(campaigns: Any = (), **contact: Any) -> None:
        contacting.rules(monkeypatch, tmp_path / "config", campaigns, **contact)

    return write
