"""A cooperative bank whose data come in: real folders, a real database, files written by the records room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue import Institute, institutes
from reku.foundation import clock
from reku.foundation.settings import settings
from reku.records import Head, contracts, write
from reku.sources.agree21.import_report import ImportReport
from reku.sources.agree21.scan import take_in
from reku.store import tables
from reku_testing import banks
from reku_testing.world import BLZ

NOW = datetime(2026, 11, 22, 4, 30, tzinfo=UTC)
"""05:30 in Berlin."""
SHORT = {"IDA_KUNDEN": "ida_kunden", "IDA_BESTAND": "ida_bestand", "GDIX_TERMINE": "gdix_termine", "IMPULSE": "impulse"}


def person(number: int, **changes: str) -> dict[str, str]:
    """A row of customers that is taken, with some fields changed."""
    return {
        "Personennummer": f"{number:010d}",
        "Haushalt_ID": "",
        "Ansprechperson": "J",
        "Anrede": "2",
        "Titel": "",
        "Vorname": "Jördis",
        "Nachname": f"Müßig{number}",
        "Strasse": "Prüfweg 1",
        "PLZ": "01067",
        "Ort": "Musterstadt",
        "EMail": f"person{number}@kunde.example",
        "Einwilligung_EMail": "J",
        "Tracking_Einwilligung": "N",
        "Werbesperre_KZ": "",
        "Nachlass_KZ": "N",
        "Kundensegment": "PK",
        "Kunde_seit": "01.04.2001",
        "Geburtsdatum": "14.02.1976",
        "Berater_Nr": "B0042",
        "Stand": "21.11.2026",
    } | changes


def holding(number: int, of: int, **changes: str) -> dict[str, str]:
    """A row of holdings that is taken."""
    return {
        "Vertragsnummer": f"7{number:09d}",
        "Personennummer": f"{of:010d}",
        "Produktart": "FESTGELD",
        "Eroeffnung": "01.12.2023",
        "Faelligkeit": "01.12.2026",
        "Saldo_Klasse": "C",
        "Zahlungsstrom_KZ": "GEHALT",
    } | changes


def appointment(name: str, of: int, **changes: str) -> dict[str, str]:
    """A row of appointments that is taken."""
    return {
        "Termin_ID": name,
        "Personennummer": f"{of:010d}",
        "Termin_Beginn": "26.11.2026 10:00:00",
        "Status": "GEPLANT",
        "Geaendert_am": "21.11.2026 16:20:00",
    } | changes


def impulse(name: str, of: int, **changes: str) -> dict[str, str]:
    """A row of impulses that is taken."""
    return {
        "Impuls_ID": name,
        "Personennummer": f"{of:010d}",
        "Impuls_Code": "FAELLIGKEIT_FESTGELD",
        "Erzeugt_am": "21.11.2026 18:00:00",
        "Gueltig_bis": "05.12.2026",
        "Prioritaet": "3",
    } | changes


@dataclass(frozen=True)
class CoopBank:
    """The bank, its inbox and the tables."""

    engine: sa.Engine
    files: Path
    configure: Callable[..., None]

    @property
    def institute(self) -> Institute:
        return institutes()[BLZ]

    def put(
        self,
        kind: str,
        rows: Sequence[dict[str, str]],
        at: datetime = NOW,
        *,
        framed: bool = True,
        environment: str = "T",
        columns: Sequence[str] = (),
        delta: bool = False,
    ) -> str:
        """A file in the inbox, drawn at that moment. Returns its name."""
        names = list(columns or (rows[0] if rows else [column.name for column in contracts()[kind].columns]))
        head = Head(kind, "1", BLZ, "", "000326", at, "AGREE21", "MF", environment)
        contract = contracts()[kind].model_copy(update={"frame": "vkdn"})
        data = write(contract, head, names, [[row[name] for name in names] for row in rows])
        if not framed:
            lines = data.decode("cp1252").split("\r\n")[1:-2]
            data = "".join(f"{line[2:]}\r\n" for line in lines).encode("cp1252")
        name = f"{SHORT[kind]}_{'delta_' if delta else ''}{BLZ}_{clock.berlin(at):%Y%m%d%H%M%S}.csv"
        return self.put_bytes(name, data)

    def put_bytes(self, name: str, data: bytes) -> str:
        inbox = self.files / BLZ / "eingang"
        inbox.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_bytes(data)
        return name

    def take_in(self) -> ImportReport:
        return take_in(self.engine, self.institute)

    def verdicts(self) -> list[str]:
        """Take in, and say what became of each file: verdict and code."""
        report = self.take_in()
        assert report.failures == []
        return [f"{result.verdict} {result.code}".strip() for result in report.outcomes]

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(sa.select(table)).mappings()]

    def count(self, table: sa.Table) -> int:
        return len(self.rows(table))

    def newest(self) -> dict[str, Any]:
        return max(self.rows(tables.imports), key=lambda row: row["id"])

    def lying(self) -> list[str]:
        """Every original that is kept anywhere, by its path."""
        return sorted(
            str(path.relative_to(self.files / BLZ))
            for path in (self.files / BLZ).rglob("*")
            if path.is_file() and "ausgang" not in path.parts
        )

    def receipt(self, name: str) -> str:
        return (self.files / BLZ / "ausgang" / f"quittung_{name}").read_text(encoding="utf-8")


@pytest.fixture
def bank(
    database: sa.Engine,
    reku_settings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock_at: Callable[[datetime], None],
) -> CoopBank:
    def configure(**rules: object) -> None:
        banks.configure(
            monkeypatch, tmp_path / "config", core_system="agree21", name="Volksbank Beispielstadt", imports=rules
        )

    configure()
    clock_at(NOW)
    settings.cache_clear()
    return CoopBank(database, reku_settings, configure)
