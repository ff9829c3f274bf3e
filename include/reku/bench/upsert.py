"""Stage "upsert": people of a delivery into their list, against psql's \\copy of the same rows into a bare table.

The peer reads the rows from a file into an unlogged table without a key. Ours lie in `delivery_rows` by then, where
the gate has put them; from there they get into the list. What the gate's COPY takes and what all of `load` takes, the
messages included, stands in rows of its own. A tenth changed: new names for a tenth of the people; Referenz is
another one in every row of every delivery, as it must be. People stand in a delivery in the order of their numbers; in
no order at all, an empty list takes about half as long again.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import sqlalchemy as sa

from reku.bench.own_process import figures_of
from reku.bench.world import BLZ, OCCASION, ORDER, World, world
from reku.foundation import clock, settings
from reku.foundation.bank_folders import Folder, path_below
from reku.foundation.errors import SetupError
from reku.records import contracts
from reku.records.delivered_row import row_reader
from reku.store.bulk import copy_rows
from reku.store.engine import engine
from reku.store.kinds import DeliverySource
from reku.store.states import DeliveryState, FileVerdict
from reku.store.tables import deliveries, delivery_rows, files, lists, orders
from reku.subscribers.fill import fill_list
from reku.subscribers.load import load

PEOPLE = 100_000
INTO_EMPTY, A_TENTH = 0.35, 0.25

_FIRST = ("Jördis", "Bernd", "Zoë", "Jürgen", "Anna")
_LAST = ("Beispiel-Müßig", "Muster", "Schäfer", "Öztürk", "Testmann", "von der Höhe")
_ROW_COLUMNS = [column.name for column in delivery_rows.columns if column.name not in ("id", "data_key_id", "sealed")]


def measure(rounds: int) -> list[dict[str, Any]]:
    """The figures of this stage. Raises SetupError if the process that measures fails."""
    return figures_of("reku.bench.upsert", rounds, PEOPLE)


def person(number: int, delivery: int) -> dict[str, str]:
    """All fields of a person in a delivery; a tenth of the people has another name in every delivery."""
    last = _LAST[number % len(_LAST)]
    of = number % 300
    known = {
        "Referenz": f"{ORDER}-{delivery:06d}-{number:07d}",
        "Personennummer": f"{number:010d}",
        "Anlass_Code": OCCASION,
        "Anlass_Datum": "24.11.2026",
        "Anlass_Wert": str(30 + number % 6 * 10),
        "Anrede": str(1 + number % 3),
        "Vorname": _FIRST[number % len(_FIRST)],
        "Nachname": f"{last}-{delivery}" if number % 10 == 0 else last,
        "EMail": f"person{number}.{number % 97}@kunde{number % 800}.example",
        "Einwilligung_EMail": "J",
        "Tracking_Einwilligung": "J",
        "Geschaeftsstelle": f"Filiale {number % 60}",
        "Berater_Nr": f"B{of:04d}",
        "Berater_Absendername": f"Ole Muster {of}",
        "Berater_E-Mail": f"berater{of}@messbank.example",
        "Berater_Telefon": "+49 99 000000",
    }
    return {column.name: known.get(column.name, "") for column in contracts()["REKU"].columns}


class Race:
    """Two deliveries of the same people in both forms, and what is measured of them."""

    def __init__(self, there: World, people: int) -> None:
        self.engine, self._people = engine(), people
        self._url = there.environment["REKU_DATABASE_URL"].replace("postgresql+psycopg:", "postgresql:", 1)
        self._texts = {number: there.folder / f"delivery_{number}.txt" for number in (1, 2)}
        for number, text in self._texts.items():
            with text.open("w", encoding="utf-8") as out:
                out.writelines("\t".join(person(n, number).values()) + "\n" for n in range(people))
        with self.engine.begin() as connection:
            self._list = self._new_list(connection)
            self._deliveries = {number: self._new_delivery(connection, number) for number in self._texts}
        for number in self._texts:
            self.copy_of_the_gate(number)

    def copy_of_the_gate(self, number: int) -> float:
        """Seconds of the gate's COPY of its accepted rows."""
        delivery = self._deliveries[number]
        with self.engine.begin() as connection:
            connection.execute(sa.delete(delivery_rows).where(delivery_rows.c.delivery_id == delivery))
        rows = list(self._rows(number, delivery))
        self._tidy()
        with self.engine.begin() as connection:
            return _seconds(lambda: copy_rows(connection, delivery_rows, _ROW_COLUMNS, rows))

    def peer(self, number: int) -> float:
        """Seconds of \\copy: psql's if there is one on this machine, else psycopg's of the same bytes."""
        columns = ", ".join(f'"{column.name}" text' for column in contracts()["REKU"].columns)
        with self.engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE IF EXISTS reku.peer"))
            connection.execute(sa.text(f"CREATE UNLOGGED TABLE reku.peer ({columns})"))
        psql = shutil.which("psql")
        taken = _seconds(lambda: self._by_psql(psql, number) if psql else self._by_psycopg(number))
        with self.engine.begin() as connection:
            copied = connection.scalar(sa.text("SELECT count(*) FROM reku.peer"))
        if copied != self._people:
            raise SetupError(f"The peer has copied {copied} of {self._people} rows, so it is no measure.")
        return taken

    def fill(self, number: int, expected: int) -> float:
        """Seconds of filling the list with a delivery that adds or changes so many people."""
        self._tidy()
        begun = time.perf_counter()
        with self.engine.begin() as connection:
            delivery = connection.execute(
                sa.select(deliveries).where(deliveries.c.id == self._deliveries[number])
            ).one()
            people = fill_list(connection, delivery, self._list, clock.now())
        taken = time.perf_counter() - begun
        if people != expected:
            raise SetupError(f"{people} instead of {expected} people are new or changed: this is no measure.")
        return taken

    def load(self, number: int) -> float:
        """Seconds of loading a whole delivery into the empty list: its people and its messages."""
        self.empty()
        return _seconds(lambda: load(self.engine, self._deliveries[number]))

    def empty(self) -> None:
        """Take back everything that loading did."""
        with self.engine.begin() as connection:
            connection.execute(sa.text("TRUNCATE reku.subscribers, reku.messages CASCADE"))
            connection.execute(sa.update(deliveries).values(state=DeliveryState.RELEASED, list_id=None))
        self._tidy()

    def _by_psql(self, psql: str, number: int) -> None:
        copy = f"\\copy reku.peer from '{self._texts[number]}'"
        subprocess.run((psql, "--no-psqlrc", "--quiet", self._url, "--command", copy), check=True)  # noqa: S603 - as above

    def _by_psycopg(self, number: int) -> None:
        with (
            psycopg.connect(self._url) as connection,
            connection.cursor().copy("COPY reku.peer FROM STDIN") as copy,
            self._texts[number].open("rb") as data,
        ):
            while block := data.read(1 << 16):
                copy.write(block)

    def _tidy(self) -> None:
        """No vacuum of the server's own, and no checkpoint, shall fall into what is measured next."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE reku.delivery_rows, reku.subscribers, reku.messages"))
            connection.execute(sa.text("CHECKPOINT"))

    def _new_list(self, connection: sa.Connection) -> int:
        order = connection.execute(sa.select(orders)).one()
        return _insert(
            connection,
            lists,
            institute=BLZ,
            order_id=order.id,
            order_name=order.name,
            name=f"{OCCASION}_{order.name}",
            reserved_at=clock.now(),
        )

    def _new_delivery(self, connection: sa.Connection, number: int) -> int:
        moment = clock.now()
        return _insert(
            connection,
            deliveries,
            institute=BLZ,
            source=DeliverySource.OSPLUS_FILE,
            contract="REKU",
            order_number=ORDER,
            order_id=connection.scalar(sa.select(orders.c.id)),
            occasion=OCCASION,
            delivery_number=number,
            created_at=moment,
            day=clock.today(),
            period_start=clock.today(),
            state=DeliveryState.RELEASED,
            rows=self._people,
            accepted=self._people,
            rejected=0,
            file_id=_insert(
                connection,
                files,
                institute=BLZ,
                file_name=f"reku_{number}.csv",
                kind="REKU",
                sha256="0" * 64,
                received_at=moment,
                verdict=FileVerdict.REGISTERED,
                stored_as=path_below(BLZ, Folder.ARCHIVE, f"{number}.csv"),
            ),
        )

    def _rows(self, number: int, delivery: int) -> Iterator[tuple[Any, ...]]:
        read = row_reader(contracts()["REKU"])
        for place in range(self._people):
            fields = person(place, number)
            row = read(fields)
            del fields["Referenz"]
            yield BLZ, delivery, place + 3, *row, json.dumps(fields, ensure_ascii=False)


def _insert(connection: sa.Connection, table: sa.Table, **values: object) -> int:
    new: int = connection.execute(sa.insert(table).values(**values).returning(table.c.id)).scalar_one()
    return new


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _figures(race: Race, rounds: int, people: int) -> list[dict[str, Any]]:
    ratios: dict[str, list[float]] = {}
    by = "psql \\copy" if shutil.which("psql") else "COPY by psycopg"
    for turn in range(rounds):
        race.empty()
        for number, what, new in ((1, _EMPTY, people), (2, _TENTH, people // 10)):
            theirs = race.peer(number) if turn % 2 else 0.0
            ours = race.fill(number, new)
            theirs = theirs or race.peer(number)
            ratios.setdefault(what, []).append(theirs / ours)
        ratios.setdefault(_LOAD, []).append(race.peer(1) / race.load(1))
        race.empty()
        ratios.setdefault(_GATE, []).append(race.peer(1) / race.copy_of_the_gate(1))
    return [
        {
            "stage": "upsert",
            "what": what,
            "against": f"{by} into an unlogged table without a key",
            "ratio": round(statistics.median(ratios[what]), 2),
            "at_least": at_least,
            "rounds": rounds,
            "rows": people,
        }
        for what, at_least in ((_EMPTY, INTO_EMPTY), (_TENTH, A_TENTH), (_LOAD, None), (_GATE, None))
    ]


_EMPTY = "list filled from the gate's rows, empty before"
_TENTH = "list filled from the gate's rows, a tenth changed"
_LOAD = "delivery loaded into an empty list: people and messages"
_GATE = "COPY of the gate's rows, before"


def main(rounds: int, people: int) -> None:
    """Measure and print one JSON list."""
    with world() as there:
        os.environ |= there.environment
        settings.settings.cache_clear()
        print(json.dumps(_figures(Race(there, people), rounds, people)))  # noqa: T201 - read by `measure`


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
