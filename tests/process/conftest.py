"""What tests of a whole day's work share: a relay, and the day itself driven in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation.settings import INCLUDE, settings
from reku.process.run_day import DayResult
from reku.store.tables import deliveries
from reku_testing import banks, days, smtp
from reku_testing.bank_files import BANK, OTHER, deliver, order, people
from reku_testing.by_blz import take_in_all

Work = Callable[..., DayResult]
Move = Callable[[datetime], None]

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[smtp.Sink]:
    """A real SMTP server that our settings point to; responses are waited for as long as the tests like: not at all."""
    with smtp.running(smtp.Sink()) as sink:
        monkeypatch.setenv("REKU_SMTP_PORT", str(sink.port))
        monkeypatch.setenv("REKU_RESPONSE_WINDOW_SECONDS", "0")
        monkeypatch.setenv("REKU_POKE_SECONDS", "0.05")
        settings.cache_clear()
        yield sink


@pytest.fixture
def work(database: sa.Engine, clock_at: Move) -> Work:
    """One run of an occasion's day, today's if none is named: `work(day=date(2026, 11, 24))`."""
    return partial(days.work, database, clock_at)


@pytest.fixture
def one_bank_asks_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The shipped banks; the first one wants to see each order's first delivery."""
    folder = banks.configure(monkeypatch, tmp_path / "config")
    for bank, more in ((BANK, "approve_first: true\n"), (OTHER, "")):
        shipped = (INCLUDE / "institutes" / f"{bank}.yaml").read_text(encoding="utf-8")
        (folder / "institutes" / f"{bank}.yaml").write_text(f"{shipped}\n{more}", encoding="utf-8")


@pytest.fixture
def two_deliveries(database: sa.Engine, relay: smtp.Sink, clock_at: Move, one_bank_asks_first: None) -> int:
    """The first bank's delivery of three people, which is asked about, and the other bank's of two. Returns its id."""
    clock_at(NOON)
    for bank, size in ((BANK, 3), (OTHER, 2)):
        order(bank)
        deliver(1, people(size), bank)
    take_in_all(database)
    with database.connect() as connection:
        return int(connection.execute(sa.select(deliveries.c.id).where(deliveries.c.institute == BANK)).scalar_one())
