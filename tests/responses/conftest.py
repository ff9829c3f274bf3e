"""Mails that were sent, of a bank that is configured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.responses.hits import take_in
from reku.responses.tracker import app
from reku.store.states import MessageState
from reku.store.tables import responses
from reku_testing import banks, world
from reku_testing.serving import served

Sent = Callable[..., int]
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture
def bank(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock_at: Callable[[datetime], None]
) -> Path:
    """The configuration with one savings bank; the clock stands at a November morning."""
    clock_at(datetime(2026, 11, 24, 8, tzinfo=UTC))
    monkeypatch.setenv("REKU_HIT_SETTLE_SECONDS", "0")
    return banks.configure(monkeypatch, tmp_path / "include")


@pytest.fixture
def sent(database: sa.Engine, bank: Path) -> Sent:
    """Make a mail that was sent an hour ago; keyword arguments change the row's fields or the message's columns."""
    made: dict[str, Any] = {}

    def make(number: int = 1, *, tracking: bool = True, **columns: Any) -> int:
        if not made:
            made["order"] = world.order(database)
            made["delivery"] = world.delivery(database, made["order"])
        moment = clock.now() - timedelta(hours=1)
        fields = world.reku_fields(number, Tracking_Einwilligung="J" if tracking else "N")
        row = world.row(database, made["delivery"], fields, line=2 + number)
        values = {"state": MessageState.SENT, "medium": "SCOM_GEBURTSTAG", "begun_at": moment, "ended_at": moment}
        return world.message(database, row, **(values | columns))

    return make


@pytest.fixture
def address(bank: Path) -> Iterator[str]:
    """The tracker of a configured bank on a free port, in a thread."""
    with served(app) as address:
        yield address


@pytest.fixture
def web(address: str) -> Iterator[httpx.Client]:
    """A person's browser, which follows no redirects."""
    headers = {"User-Agent": BROWSER}
    with httpx.Client(base_url=address, follow_redirects=False, timeout=30, headers=headers) as client:
        yield client


Events = Callable[[], list[tuple[Any, ...]]]


@pytest.fixture
def events(database: sa.Engine) -> Events:
    """All events as (message, kind, reason, scope), in order of recording; what a tracker noted is taken in first."""

    def read() -> list[tuple[Any, ...]]:
        c = responses.c
        take_in(database)
        with database.connect() as connection:
            return [
                tuple(row)
                for row in connection.execute(sa.select(c.message_id, c.kind, c.reason, c.scope).order_by(c.id))
            ]

    return read
