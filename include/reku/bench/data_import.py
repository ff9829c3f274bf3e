"""Stage "import": a cooperative bank's data taken in, against psql's \\copy of the finished rows into the same tables.

Ours is one look into the inbox: two files are read, judged, their numbers made pseudonyms, names and addresses sealed,
merged with what is known, and receipts written. The peer copies the rows that came of the first day into the same
tables, with their keys and indexes, emptied before. On every other day each fiftieth customer has another address.
How time and memory grow is measured in a process of its own for each import.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from reku.bench.own_process import figures_of
from reku.bench.world import World, world
from reku.catalogue import institutes
from reku.foundation import clock, settings
from reku.foundation.bank_folders import MARKER, Folder
from reku.foundation.errors import SetupError
from reku.records import Head, contracts, format_date
from reku.records.writer import write_csv
from reku.runtime.home import SECRETS
from reku.sources.agree21.customer_rows import forget_addresses
from reku.sources.agree21.scan import take_in
from reku.store.engine import engine

PEOPLE, HOLDINGS = 200_000, 3
"""Customers, and contracts of each."""
MANY = 1_000_000
CHANGED_EVERY = 50
FIRST_DAY, NEXT_DAY = 0.2, 0.4
GROWTH = 0.83
"""A row of `MANY` customers may take a fifth longer."""
MEMORY = 1_200_000_000
"""Bytes that the process may take which takes in `MANY` customers, Python and all libraries included."""

BLZ = "99990008"
_TABLES = ("persons", "person_addresses", "person_numbers", "holdings")
_BANK = f"""\
blz: "{BLZ}"
name: Volksbank Messung
core_system: agree21
state: NW
interface_active_from: 2025-01-01
sender:
  name: Volksbank Messung
  address: service@messung.example
  domains: [messung.example]
colours: {{primary: "#00508C"}}
imprint: Volksbank Messung eG, Marktplatz 1, 99999 Musterstadt
"""
PRODUCTS = (
    *("GIRO", "FESTGELD", "SPARBRIEF", "WERTPAPIER", "DARLEHEN", "RATENKREDIT", "RENTENPLAN", "DEPOT", "FONDSKONTO"),
    *("VL_FONDS", "VL_SPAREN", "VL_BETEILIGUNG", "SPARPLAN_ALT", "BAUSPARDARLEHEN", "NV_BESCHEINIGUNG", "BAUSPAREN"),
)
_LAST = ("Beispiel-Müßig", "Muster", "Schäfer", "Öztürk", "Testmann", "von der Höhe")


def measure(rounds: int) -> list[dict[str, Any]]:
    """The figures of this stage. Raises SetupError if the process that measures fails."""
    return figures_of("reku.bench.data_import", rounds)


def customer(number: int, day: int) -> Mapping[str, str]:
    """A customer with one address; every fiftieth has another one on every day."""
    moved = f".{day}" if number % CHANGED_EVERY == 0 else ""
    return {
        "Personennummer": f"{number:010d}",
        "Haushalt_ID": f"{number // 2:010d}",
        "Ansprechperson": "NJ"[number % 2],
        "Anrede": str(1 + number % 3),
        "Vorname": "Jördis",
        "Nachname": _LAST[number % len(_LAST)],
        "Strasse": f"Prüfweg {number % 90}",
        "PLZ": f"{1067 + number % 900:05d}",
        "Ort": "Musterstadt",
        "EMail": f"person{number}{moved}@kunde{number % 800}.example",
        "Einwilligung_EMail": "J",
        "Tracking_Einwilligung": "N",
        "Nachlass_KZ": "N",
        "Kundensegment": "PK",
        "Kunde_seit": "01.04.2001",
        "Geburtsdatum": f"{1 + number % 28:02d}.{1 + number % 12:02d}.{1940 + number % 60}",
        "Berater_Nr": f"B{number % 300:04d}",
        "Stand": "21.11.2026",
    }


def holding(number: int, of: int) -> Mapping[str, str]:
    """A contract of a customer."""
    return {
        "Vertragsnummer": f"7{number:09d}",
        "Personennummer": f"{of:010d}",
        "Produktart": PRODUCTS[number % len(PRODUCTS)],
        "Eroeffnung": format_date(clock.today() - timedelta(days=number // 7 % 4_000)),
        "Faelligkeit": format_date(clock.today() + timedelta(days=number // 11 % 400)),
        "Saldo_Klasse": "ABCD"[number % 4],
    }


def add_bank(config: Path, more: str = "") -> None:
    """Write the bank's file into a configuration folder, with `more` lines at its end."""
    (config / "institutes" / f"{BLZ}.yaml").write_text(_BANK + more, encoding="utf-8")


class Race:
    """The bank's files of two days, and what is measured of them. To be used where the world is in force."""

    def __init__(self, there: World, people: int) -> None:
        self.engine, self._people, self._folder = engine(), people, there.folder
        self._url = there.environment["REKU_DATABASE_URL"].replace("postgresql+psycopg:", "postgresql:", 1)
        self._inbox = Path(there.environment["REKU_FILES_URL"]) / BLZ / Folder.INBOX
        self._begun = clock.now()

    def first_day(self) -> float:
        """Seconds of taking in all customers and holdings into empty tables."""
        self._empty()
        return self._take_in(1)

    def next_day(self) -> float:
        """Seconds of the second day, after the first."""
        return self._take_in(2)

    def day_after_noon(self) -> float:
        """Seconds of a third day, before which all names and addresses were forgotten, as they are at noon."""
        with self.engine.begin() as connection:
            forget_addresses(connection, BLZ)
        return self._take_in(3)

    def alone(self) -> dict[str, float]:
        """Seconds and peak memory (bytes) of the first day in a process of its own."""
        self._empty()
        self._put(1)
        self._tidy()
        done = subprocess.run(
            (sys.executable, "-P", "-m", "reku.bench.data_import_once"), stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode != 0:
            raise SetupError("The import in a process of its own has failed; what went wrong stands above.")
        measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return measured

    def keep_rows(self) -> None:
        """Keep the rows that came of the first day, for the peer."""
        for table in _TABLES:
            with (
                psycopg.connect(self._url) as connection,
                connection.cursor().copy(f"COPY reku.{table} TO STDOUT") as copy,
                self._rows(table).open("wb") as out,
            ):
                out.writelines(copy)

    def peer(self) -> float:
        """Seconds of \\copy of those rows: psql's if there is one on this machine, else psycopg's of the same bytes."""
        self._empty()
        psql, begun = shutil.which("psql"), time.perf_counter()
        for table in _TABLES:
            if psql:
                copy = f"\\copy reku.{table} from '{self._rows(table)}'"
                command = (psql, "--no-psqlrc", "--quiet", self._url, "--command", copy)
                subprocess.run(command, check=True)  # noqa: S603 - as above
            else:
                self._by_psycopg(table)
        return time.perf_counter() - begun

    def _by_psycopg(self, table: str) -> None:
        with (
            psycopg.connect(self._url) as connection,
            connection.cursor().copy(f"COPY reku.{table} FROM STDIN") as copy,
            self._rows(table).open("rb") as data,
        ):
            while block := data.read(1 << 16):
                copy.write(block)

    def _rows(self, table: str) -> Path:
        return self._folder / f"{table}.rows"

    def _take_in(self, day: int) -> float:
        self._put(day)
        self._tidy()
        return timed_import(self.engine)

    def _put(self, day: int) -> None:
        """Put the day's files into the inbox; they are made once."""
        made = self._folder / f"{self._people} of day {day}"
        if not made.exists():
            made.mkdir()
            people, drawn_at = range(self._people), self._begun - timedelta(minutes=30 - day)
            rows = {
                "IDA_KUNDEN": (customer(number, day) for number in people),
                "IDA_BESTAND": (holding(number * HOLDINGS + n, number) for number in people for n in range(HOLDINGS)),
            }
            stamp = f"{clock.berlin(drawn_at):%Y%m%d%H%M%S}"
            for kind in rows:
                with (made / f"{kind.lower()}_{BLZ}_{stamp}.csv").open("wb") as file:
                    file.writelines(_blocks(kind, rows[kind], drawn_at))
        self._inbox.mkdir(parents=True, exist_ok=True)
        for one in made.iterdir():
            shutil.copy(one, self._inbox / one.name)
            (self._inbox / f"{one.name}{MARKER}").touch()

    def _empty(self) -> None:
        with self.engine.begin() as connection:
            tables = ", ".join(f"reku.{table}" for table in (*_TABLES, "imports", "files"))
            connection.execute(sa.text(f"TRUNCATE {tables} CASCADE"))
        self._tidy()

    def _tidy(self) -> None:
        """No vacuum of the server's own, and no checkpoint, shall fall into what is measured next."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text(f"VACUUM ANALYZE {', '.join(f'reku.{table}' for table in _TABLES)}"))
            connection.execute(sa.text("CHECKPOINT"))


def timed_import(database: sa.Engine) -> float:
    """Seconds of taking in the two files that lie in the inbox. Raises SetupError if they are not taken."""
    begun = time.perf_counter()
    report = take_in(database, institutes()[BLZ])
    taken = time.perf_counter() - begun
    if report.problems or report.counts.get("PROCESSED") != 2:
        raise SetupError(f"The data were not taken in, so this is no measure: {report}")
    return taken


def _blocks(kind: str, rows: Iterator[Mapping[str, str]], drawn_at: datetime) -> Iterator[bytes]:
    contract = contracts()[kind].model_copy(update={"frame": "vkdn"})
    columns = tuple(column.name for column in contract.columns)
    head = Head(kind, "1", BLZ, "", "0", drawn_at, "AGREE21", "MF", settings.settings().environment)
    lines = (";".join(["D", *(row.get(name, "") for name in columns)]).encode() + b"\n" for row in rows)
    return write_csv(contract, head, columns, iter(lambda: list(islice(lines, 10_000)), []))


def race(rounds: int, people: int) -> list[dict[str, Any]]:
    """All days against the peer, in alternation."""
    with _bank_world() as there:
        runner = Race(there, people)
        first, following, after_noon, copied = [], [], [], []
        for _ in range(rounds):
            first.append(runner.first_day())
            runner.keep_rows()
            following.append(runner.next_day())
            after_noon.append(runner.day_after_noon())
            copied.append(runner.peer())
        runner.engine.dispose()
    rows = people * (1 + HOLDINGS)
    what = f"{people} customers and {people * HOLDINGS} holdings"
    changed = f"the next day's of {what}, every 50th customer changed"
    return [
        _figure(f"first import of {what}", first, copied, FIRST_DAY, rows),
        _figure(changed, following, copied, NEXT_DAY, rows),
        _figure(f"{changed}, all addresses forgotten at noon", after_noon, copied, None, rows),
    ]


def growth(rounds: int, people: int, many: int) -> list[dict[str, Any]]:
    """Time for each row and peak memory of `many` customers against fewer."""
    taken: dict[int, list[dict[str, float]]] = {people: [], many: []}
    with _bank_world() as there:
        for number in range(rounds):
            for size in taken if number % 2 else reversed(taken):
                runner = Race(there, size)
                taken[size].append(runner.alone())
                runner.engine.dispose()
    per_row = {size: statistics.median(one["seconds"] for one in alone) / size for size, alone in taken.items()}
    peak = max(one["peak"] for one in taken[many])
    shared = {"stage": "import", "rounds": rounds, "rows": many * (1 + HOLDINGS)}
    what = f"first import of {many} customers and {many * HOLDINGS} holdings"
    return [
        shared
        | {"what": f"{what}, time for each row", "against": f"the same for {people} customers"}
        | {"ratio": round(per_row[people] / per_row[many], 2), "at_least": GROWTH},
        shared
        | {"what": f"{what}, peak memory", "against": f"{MEMORY / 1e9} GB"}
        | {"ratio": round(MEMORY / peak, 2), "at_least": 1.0},
    ]


@contextmanager
def _bank_world() -> Iterator[World]:
    """A world with the bank, in force."""
    with world() as there:
        add_bank(Path(there.environment["REKU_CONFIG_DIR"]))
        keys = {name: SECRETS[name]() for name in ("REKU_PSEUDONYM_KEYS", "REKU_VAULT_KEYS")}
        limits = {"REKU_INTAKE_SECONDS": "3600"}
        there.environment.update(keys | limits)
        with there.in_force():
            yield there


def _figure(what: str, ours: list[float], peer: list[float], at_least: float | None, rows: int) -> dict[str, Any]:
    ratio = statistics.median(theirs / mine for mine, theirs in zip(ours, peer, strict=True))
    return {
        "stage": "import",
        "what": what,
        "against": "\\copy of the finished rows",
        "ratio": round(ratio, 2),
        "at_least": at_least,
        "rounds": len(ours),
        "rows": rows,
        "microseconds_a_row": round(statistics.median(ours) / rows * 1_000_000, 1),
    }


def main(rounds: int) -> list[dict[str, Any]]:
    """All figures of this stage; a million customers are taken in once, since that takes minutes."""
    return race(rounds, PEOPLE) + growth(1, PEOPLE, MANY)


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))  # noqa: T201 - read by `measure`
