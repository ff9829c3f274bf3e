"""A bank that people's requests reach: the real chain from its inbox to its outbox, without Airflow."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation import settings as settings_module
from reku.foundation.settings import settings
from reku.gate.gate import validate
from reku.records import Head, contracts, read, write
from reku.reporting.export import export
from reku.sources.osplus.rejected import receipt_for_rejects
from reku.sources.osplus.scan import take_in_all
from reku.store.states import DeliveryState
from reku.store.tables import deliveries
from reku.subscribers.load import load
from reku_testing import world
from reku_testing.dispatching import BANK, ORDER, Sink, change_settings, dispatch
from reku_testing.smtp import running
from tests.cli.conftest import reku

__all__ = ["reku"]

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)


def person(number: int, delivery: int = 1, **changes: str) -> dict[str, str]:
    """A row of somebody whose name and address nobody else has."""
    own = {"Vorname": f"Vorname{number}x", "Nachname": f"Nachname{number}x", "EMail": f"adresse{number}x@kunde.example"}
    return world.reku_fields(number, delivery, ORDER, **own | changes)


@dataclass
class Chain:
    """The stages one after the other, at the clock's present."""

    engine: sa.Engine
    sink: Sink
    move: Callable[[datetime], None]
    root: Path
    _order: bool = field(default=False)

    def put(self, name: str, data: bytes) -> None:
        """A file in the bank's inbox."""
        inbox = self.root / BANK / "eingang"
        inbox.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_bytes(data)

    def order(self) -> None:
        """The control file."""
        head = Head("VREKU", "1", BANK, ORDER, "0", clock.now() - timedelta(minutes=5), "FI", "EMMA", "T")
        row = {
            "Ereignis": "NEU",
            "BLZ": BANK,
            "Auftrags_Nr": ORDER,
            "Auftrags_Bezeichnung": "Geburtstag_rund",
            "Anlass_Code": "MCAG002",
            "Ausfuehrungsrhythmus": "TAEGLICH",
            "Vertriebsweg": "EMMA",
            "Gueltig_ab": "24.11.2026",
        }
        data = write(contracts()["VREKU"], head, list(row), [list(row.values())])
        self.put(f"vreku_{BANK}_{ORDER}_{clock.berlin(head.created_at):%Y%m%d%H%M%S}.csv", data)
        self._order = True

    def deliver(self, number: int, people: list[dict[str, str]], *, packed: bool = False) -> None:
        """A delivery in the inbox."""
        head = Head("REKU", "1", BANK, ORDER, f"{number:06d}", clock.now(), "FI", "EMMA", "T")
        data = write(contracts()["REKU"], head, list(world.REKU_COLUMNS), [list(one.values()) for one in people])
        name = f"reku_{BANK}_{ORDER}_{number:06d}_{clock.berlin(clock.now()):%Y%m%d%H%M%S}.csv"
        self.put(f"{name}.gz" if packed else name, gzip.compress(data) if packed else data)

    def take_in(self) -> None:
        """One scan."""
        if not self._order:
            self.order()
        take_in_all(self.engine)

    def load(self) -> list[int]:
        """Gate, release and load of whatever is registered. Returns all deliveries that are loaded."""
        for delivery in self._in(DeliveryState.REGISTERED):
            result = validate(self.engine, delivery)
            receipt_for_rejects(self.engine, delivery)
            if not result.refused:
                with self.engine.begin() as connection:
                    released = {"state": DeliveryState.RELEASED, "released_at": clock.now()}
                    connection.execute(sa.update(deliveries).where(deliveries.c.id == delivery).values(released))
                load(self.engine, delivery)
        return self._in(DeliveryState.LOADED)

    def send(self) -> None:
        """Dispatch of all that is loaded."""
        for delivery in self.load():
            dispatch(self.engine, delivery, day=clock.today())

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

    def _in(self, state: DeliveryState) -> list[int]:
        return [row.id for row in self.rows(deliveries, deliveries.c.state == state)]


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
