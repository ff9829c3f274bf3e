"""A bank that people's requests reach: the real chain from its inbox to its outbox, without Airflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation import settings as settings_module
from reku.foundation.settings import settings
from reku.process.answers import AskPerson, Ending
from reku.process.run_day import PersonAnswer, give_up
from reku.process.stages import STAGES
from reku.records import contracts, read
from reku.store.states import DeliveryState
from reku.store.tables import deliveries
from reku_testing import bank_files, days, world
from reku_testing.by_blz import export, take_in_all
from reku_testing.dispatching import BANK, ORDER, Sink, change_settings
from reku_testing.smtp import running
from tests.cli.conftest import reku

__all__ = ["reku"]

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)


def person(number: int, delivery: int = 1, **changes: str) -> dict[str, str]:
    """A row of somebody whose name and address nobody else has."""
    own = {"Vorname": f"Vorname{number}x", "Nachname": f"Nachname{number}x", "EMail": f"adresse{number}x@kunde.example"}
    return world.reku_fields(number, delivery, ORDER, **own | changes)


def let_through(_asked: AskPerson) -> PersonAnswer:
    """Somebody approves whatever is unusual."""
    return PersonAnswer(approved=True, actor="anna")


@dataclass
class Chain:
    """The stages one after the other, at the clock's present."""

    engine: sa.Engine
    sink: Sink
    move: Callable[[datetime], None]
    root: Path
    _order: bool = False

    def put(self, name: str, data: bytes) -> None:
        """A file in the bank's inbox."""
        bank_files.put(BANK, name, data)

    def order(self) -> None:
        """The control file."""
        bank_files.order()
        self._order = True

    def deliver(self, number: int, people: list[dict[str, str]], *, packed: bool = False) -> None:
        """A delivery in the inbox."""
        bank_files.deliver(number, people, packed=packed)

    def take_in(self) -> None:
        """One scan."""
        if not self._order:
            self.order()
        take_in_all(self.engine)

    def load(self) -> list[int]:
        """Gate, release and load of whatever is registered. Returns all deliveries that are loaded."""
        self._work(STAGES[:3])
        return [row.id for row in self.rows(deliveries, deliveries.c.state == DeliveryState.LOADED)]

    def send(self) -> None:
        """The same, and dispatch of all that is due."""
        self._work(STAGES[:4])

    def report(self) -> None:
        """The daily response file."""
        export(self.engine, BANK, daily=True)

    def whole_day(self, number: int, people: list[dict[str, str]], *, packed: bool = False) -> None:
        """From the inbox to the outbox."""
        self.deliver(number, people, packed=packed)
        self.take_in()
        self.send()
        self.report()

    def originals(self) -> dict[str, list[str]]:
        """Archived deliveries that read well, with the person numbers in them."""
        found = {}
        for file in sorted(self.root.glob(f"{BANK}/archiv/*/*/reku_*")):
            name = file.name
            told = read(contracts()["REKU"], file.read_bytes(), environment="T", file_name=name)
            found[name] = [row["Personennummer"] for row in told.as_dicts()]
        return found

    def rows(self, table: sa.Table, *which: sa.ColumnElement[bool]) -> list[Any]:
        """Rows of a table."""
        with self.engine.connect() as connection:
            return list(connection.execute(sa.select(table).where(*which).order_by(*table.primary_key)))

    def _work(self, stages: Sequence[str]) -> None:
        done = days.work(self.engine, self.move, stages=stages, person=let_through, pause=give_up)
        unexpected = [one for one in done.outcomes if one.ending is Ending.FAILED]
        assert [one for one in unexpected if one.stage not in ("validate", "report")] == []


@pytest.fixture
def chain(
    database: sa.Engine, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Chain]:
    """The chain at noon of a Tuesday, with a relay, a return mailbox and a home of its own."""
    clock_at(NOON)
    sink = Sink()
    with running(sink):
        change_settings(monkeypatch, smtp_port=sink.port, home=tmp_path / "home", bounce_maildir=tmp_path / "mailbox")
        yield Chain(database, sink, clock_at, Path(settings().files_url))
    settings_module.settings.cache_clear()
