"""A bank for the tests of intake: real folders, a real database, files written by the records room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.settings import INCLUDE, settings
from reku.records import Head, contracts, read, write
from reku.sources.inbox import filing
from reku.sources.inbox.folders import InboxFolders
from reku.sources.osplus.intake_report import IntakeReport
from reku.store import tables
from reku_testing import banks
from reku_testing.by_blz import take_in
from reku_testing.world import iamw_fields, reku_fields

BLZ = "99950001"
OTHER_BLZ = "99950002"
ORDER = "R0004711"
APPROACH = "I0000815"
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
"""04:00 in Berlin."""
MOST_BYTES = 2_000_000
"""Largest unpacked delivery in these tests, instead of the contract's 300 MB."""

_INSTITUTE = """\
blz: "{blz}"
name: Sparkasse Beispiel
core_system: osplus
state: NW
{active}
sender: {{name: Sparkasse Beispiel, address: service@sparkasse.example, domains: [sparkasse.example]}}
colours: {{primary: "#CC0000"}}
imprint: Sparkasse Beispiel
campaigns:
  - order: R0009999
    name: Verknüpft
    active: true
    blocks:
      - {{block: start, list: Liste_verknuepft}}
"""
_OWN_OCCASION = """\
code: EIGEN_TREUE
title: Treue
family: Eigene Anlässe
priority: 5
media: []
window: {first_day: 0, last_day: 3}
response_window: 1h
"""


@pytest.fixture(scope="session")
def config_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two banks (one with its interface switched on), two standard occasions and one of a bank's own."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "contracts").symlink_to(INCLUDE / "contracts")
    (folder / "occasions").mkdir()
    for code in ("MCAG002", "MCAC120"):
        (folder / "occasions" / f"{code}.yaml").symlink_to(INCLUDE / "occasions" / f"{code}.yaml")
    (folder / "occasions" / "EIGEN_TREUE.yaml").write_text(_OWN_OCCASION, encoding="utf-8")
    (folder / "institutes").mkdir()
    for blz, active in ((BLZ, "interface_active_from: 2026-11-01 00:00"), (OTHER_BLZ, "")):
        file = folder / "institutes" / f"{blz}.yaml"
        file.write_text(_INSTITUTE.format(blz=blz, active=active), encoding="utf-8")
    return folder


def original(engine: sa.Engine, delivery_id: int) -> bytes:
    """The bytes of a delivery as they arrived, from wherever its file lies now."""
    with engine.connect() as connection:
        file = connection.execute(
            sa.select(tables.files)
            .join(tables.deliveries, tables.deliveries.c.file_id == tables.files.c.id)
            .where(tables.deliveries.c.id == delivery_id)
        ).one()
    return filing.original(InboxFolders(file.institute), file)


@dataclass
class Bank:
    """One bank's side: puts files into its inbox and looks at what came of them."""

    engine: sa.Engine
    root: Path
    blz: str = BLZ
    made_at: datetime = field(default=NOW - timedelta(days=10))

    def folder(self, *parts: str) -> Path:
        return self.root.joinpath(self.blz, *parts)

    def put(self, name: str, data: bytes) -> str:
        self.folder("eingang").mkdir(parents=True, exist_ok=True)
        (self.folder("eingang") / name).write_bytes(data)
        return name

    def names(self, *parts: str) -> list[str]:
        return sorted(path.name for path in self.folder(*parts).rglob("*") if path.is_file())

    def control_bytes(self, kind: str = "VREKU", created_at: datetime | None = None, **changes: str) -> bytes:
        iam = kind == "VIAM"
        fields = {
            "Ereignis": "NEU",
            "BLZ": self.blz,
            "Ausfuehrungsrhythmus": "TAEGLICH",
            "Vertriebsweg": "EMMA",
            "Gueltig_ab": "06.11.2026",
            "Gueltig_bis": "",
            "Listen_Name": "",
            "Werbemittel": "",
            "Response_Umfang": "",
            "Erwartet_bis": "",
        }
        fields |= (
            {
                "Ansprache_Nr": APPROACH,
                "Ansprache_Bezeichnung": "Willkommen_Giro",
                "Ansprache_Typ": "STANDARD",
                "Content_Art": "STANDARD",
                "Ausfuehrung": "MEHRFACH",
                "Anlass_Code": "MCAC120",
            }
            if iam
            else {
                "Auftrags_Nr": ORDER,
                "Auftrags_Bezeichnung": "Geburtstag_rund_2026",
                "Anlass_Code": "MCAG002",
                "Beraterbilder": "",
                "Faksimile": "",
            }
        )
        fields |= changes
        number = fields["Ansprache_Nr" if iam else "Auftrags_Nr"]
        return self.bytes_of(kind, number, "0", created_at or self.made_at, [fields])

    def control(self, kind: str = "VREKU", created_at: datetime | None = None, **changes: str) -> str:
        """Put a control file into the inbox; each is made a minute after the last, unless `created_at` is given."""
        self.made_at = created_at or self.made_at + timedelta(minutes=1)
        data = self.control_bytes(kind, self.made_at, **changes)
        number = changes.get("Auftrags_Nr" if kind == "VREKU" else "Ansprache_Nr") or (
            ORDER if kind == "VREKU" else APPROACH
        )
        return self.put(f"{kind.lower()}_{self.blz}_{number}_{clock.berlin(self.made_at):%Y%m%d%H%M%S}.csv", data)

    def delivery(
        self,
        number: int = 17,
        rows: int = 2,
        order: str = ORDER,
        kind: str = "REKU",
        created_at: datetime = NOW - timedelta(hours=2),
        damage: Callable[[bytes], bytes] = lambda data: data,
        **changes: str,
    ) -> str:
        """Put a delivery into the inbox."""
        fields = reku_fields if kind == "REKU" else iamw_fields
        listed = [fields(row, number, order, **changes) for row in range(1, rows + 1)]
        columns = None if listed else list(fields())
        data = self.bytes_of(kind, order, f"{number:06d}", created_at, listed, columns)
        name = f"{kind.lower()}_{self.blz}_{order}_{number:06d}_{clock.berlin(created_at):%Y%m%d%H%M%S}.csv"
        return self.put(name, damage(data))

    def bytes_of(
        self,
        kind: str,
        order: str,
        number: str,
        created_at: datetime,
        rows: list[dict[str, str]],
        columns: list[str] | None = None,
    ) -> bytes:
        columns = columns or list(rows[0])
        head = Head(kind, "1", self.blz, order, number, created_at, "FI", "EMMA", "T")
        return write(contracts()[kind], head, columns, [[row[name] for name in columns] for row in rows])

    def scan(self) -> IntakeReport:
        """One scan that must not have failed anywhere."""
        report = take_in(self.engine, self.blz)
        assert report.failures == []
        return report

    def receipt(self, name: str) -> list[dict[str, str]]:
        """The rows of a file's receipt."""
        contract = contracts()["QUITTUNG"]
        file = f"quittung_{name}"
        read_back = read(
            contract, self.folder("ausgang", file).read_bytes(), environment=settings().environment, file_name=file
        )
        assert read_back.head.institute == self.blz
        return list(read_back.as_dicts())

    def verdict(self, name: str) -> tuple[str, str, str]:
        """Status, code and advice of a file, as its receipt's first row says."""
        first = self.receipt(name)[0]
        assert first["Ebene"] == "DATEI"
        return first["Status"], first["Fehler_Code"], first["Hinweis"]

    def rows(self, table: sa.Table, *where: Any) -> list[sa.Row[Any]]:
        with self.engine.connect() as connection:
            return list(
                connection.execute(
                    sa.select(table).where(table.c.institute == self.blz, *where).order_by(*table.primary_key)
                )
            )

    def order(self, number: str = ORDER) -> sa.Row[Any]:
        """The order with what only OSPlus has of it."""
        (order,) = [order for order in self.orders() if order.order_number == number]
        return order

    def orders(self) -> list[sa.Row[Any]]:
        """All orders with what only OSPlus has of them."""
        of_osplus = tables.osplus_orders.c
        wanted = sa.select(
            tables.orders, of_osplus.interface, of_osplus.origin, of_osplus.faulty, of_osplus.control_created_at
        ).join(tables.osplus_orders, of_osplus.order_id == tables.orders.c.id)
        with self.engine.connect() as connection:
            return list(connection.execute(wanted.order_by(tables.orders.c.id)))

    def lists(self, number: str = ORDER) -> dict[str, bool]:
        """Names of the order's lists → frozen or not."""
        return {
            row.name: row.frozen_at is not None
            for row in self.rows(tables.lists, tables.lists.c.order_id == self.order(number).id)
        }

    def deliveries(self) -> list[tuple[int, str, str]]:
        """Number, state and code of each delivery, in the order of registration."""
        return [(row.delivery_number, row.state, row.code) for row in self.rows(tables.deliveries)]


@pytest.fixture
def bank(
    database: sa.Engine,
    reku_settings: Path,
    config_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock_at: Callable[[datetime], None],
) -> Bank:
    """The bank with its interface switched on; it is 04:00 on 22.11.2026 in Berlin."""
    monkeypatch.setenv("REKU_CONFIG_DIR", str(config_dir))
    settings.cache_clear()
    clock_at(NOW)
    return Bank(database, reku_settings)


def configure(monkeypatch: pytest.MonkeyPatch, folder: Path, **changes: Any) -> None:
    """The shipped configuration with one bank; deliveries may have `MOST_BYTES`, so that a bomb is a small one."""
    banks.configure(monkeypatch, folder, **changes)
    (folder / "contracts").unlink()
    shutil.copytree(INCLUDE / "contracts", folder / "contracts")
    for kind in ("reku", "iamw"):
        file = folder / "contracts" / f"{kind}.yaml"
        file.write_text(f"{file.read_text(encoding='utf-8')}max_bytes: {MOST_BYTES}\n", encoding="utf-8")


@pytest.fixture
def inbox(bank: Bank, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bank:
    """The bank with the shipped contracts, occasions and rules, and small limits."""
    configure(monkeypatch, tmp_path / "config")
    return bank


def age(file: Path, seconds: float) -> None:
    """Let a file look as if it had last been written some seconds ago, by the real clock."""
    written = file.stat().st_mtime - seconds
    os.utime(file, (written, written))
