"""A relay for dispatchers of this process and of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
import sqlalchemy as sa

from reku_testing import dispatching
from reku_testing.forker import Forker
from reku_testing.smtp import running


@pytest.fixture
def sink(
    database: sa.Engine, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[dispatching.Sink]:
    """A relay that our settings point to, at half past nine on the day."""
    clock_at(dispatching.NINE)
    sink = dispatching.Sink()
    with running(sink):
        dispatching.change_settings(monkeypatch, smtp_port=sink.port)
        yield sink


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    """Starts dispatchers as processes of their own."""
    with Forker({}) as process:
        yield process
