"""Stage "selection": the people of 20 occasions selected, against one hand-written INSERT … SELECT for each.

Both select from the same imported customers and holdings, and write the same number of rows. Ours say of everybody
whom a rule matches what speaks against a mail, count the funnel, and seal each row as the gate wants it; the statements
leave out who is barred, and copy what is sealed. What is held against each other is the CPU time of this process and of
the database's server together, so that nothing else that runs on the machine counts.
"""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from reku.bench.cpu import cpu_seconds_of
from reku.bench.data_import import BLZ, HOLDINGS, Race, add_bank
from reku.bench.own_process import figures_of
from reku.bench.world import world
from reku.catalogue import institutes, occasions
from reku.catalogue.selection import Selection
from reku.foundation import clock
from reku.foundation.errors import SetupError
from reku.runtime.home import SECRETS
from reku.sources.agree21.announcing import announce
from reku.sources.agree21.selected_people import selected_people
from reku.sources.agree21.selection import obtain
from reku.store.engine import engine
from reku.store.tables import orders, selected_rows

PEOPLE = 100_000
AT_LEAST = 0.5
BARRED_EVERY = 20
"""Of so many people one is barred."""


@dataclass(frozen=True)
class Pairs:
    """Whom an occasion means, as one would write it by hand: `sql` of `person_number` and `day`, with its values."""

    sql: str
    first: int
    last: int
    product: str = ""
    years: tuple[int, ...] = ()


_BIRTHDAY = """
    SELECT p.person_number, CAST(d.day AS date) AS day FROM generate_series(:first, :last, interval '1 day') AS d(day)
    JOIN reku.persons p ON extract(month FROM p.born) = extract(month FROM d.day)
        AND extract(day FROM p.born) = extract(day FROM d.day)
    WHERE p.institute = :blz AND p.salutation <> '4'
        AND extract(year FROM d.day) - extract(year FROM p.born) = ANY(CAST(:years AS integer[]))
"""
_ANNIVERSARY = """
    SELECT h.person_number, CAST(min(d.day) AS date) AS day
    FROM generate_series(:first, :last, interval '1 day') AS d(day)
    JOIN reku.holdings h ON extract(month FROM h.opened) = extract(month FROM d.day)
        AND extract(day FROM h.opened) = extract(day FROM d.day)
    WHERE h.institute = :blz AND h.product = :product
        AND extract(year FROM d.day) - extract(year FROM h.opened) = ANY(CAST(:years AS integer[]))
    GROUP BY h.person_number
"""
_DUE = """
    SELECT h.person_number, min(h.due) AS day FROM reku.holdings h
    WHERE h.institute = :blz AND h.product = :product AND h.due BETWEEN :first AND :last GROUP BY h.person_number
"""
BY_HAND = {
    "MCAG001": Pairs(_BIRTHDAY, -3, 0, years=tuple(range(75, 121))),
    "MCAG002": Pairs(_BIRTHDAY, -3, 0, years=tuple(range(10, 121, 10))),
    "MCAG003": Pairs(_BIRTHDAY, -3, 0, years=tuple(range(5, 116, 10))),
    "MCAG008": Pairs(_BIRTHDAY, -3, 0, years=(18,)),
    "MCAD010": Pairs(_ANNIVERSARY, -7, 0, "FONDSKONTO", tuple(range(1, 101))),
    "MCAD011": Pairs(_ANNIVERSARY, -7, 0, "DEPOT", tuple(range(1, 101))),
    "MCAJ604": Pairs(_ANNIVERSARY, -7, 0, "GIRO", tuple(range(5, 201, 5))),
    "MCAK001": Pairs(_ANNIVERSARY, -14, 0, "RATENKREDIT", (1,)),
    "MCAC160": Pairs(_DUE, -30, 30, "SPARPLAN_ALT"),
    "MCAC210": Pairs(_DUE, -30, 30, "BAUSPARDARLEHEN"),
    "MCAD001": Pairs(_DUE, -30, 30, "VL_FONDS"),
    "MCAL610": Pairs(_DUE, -30, 30, "VL_SPAREN"),
    "MCAL611": Pairs(_DUE, -30, 30, "VL_BETEILIGUNG"),
    "MCAF701": Pairs(_DUE, 0, 60, "RENTENPLAN"),
    "MCAF702": Pairs(_DUE, 0, 60, "FESTGELD"),
    "MCAF703": Pairs(_DUE, 0, 60, "SPARBRIEF"),
    "MCAF706": Pairs(_DUE, 0, 60, "WERTPAPIER"),
    "MCAF710": Pairs(_DUE, 0, 60, "DARLEHEN"),
    "MCAK002": Pairs(_DUE, 0, 60, "RATENKREDIT"),
    "MCAN001": Pairs(_DUE, 0, 45, "NV_BESCHEINIGUNG"),
}
_INSERT = """
    INSERT INTO reku.selected_rows (delivery_id, line, institute, person_number, occasion_date, recipient_key, domain,
        data_key_id, sealed)
    SELECT :delivery, row_number() OVER (), institute, person_number, day, recipient_key, domain, data_key_id, sealed
    FROM (
        SELECT DISTINCT ON (p.household, a.recipient_key, found.day) a.institute, a.person_number, found.day,
            a.recipient_key, a.domain, a.data_key_id, a.sealed
        FROM (PAIRS) AS found
        JOIN reku.persons p ON p.institute = :blz AND p.person_number = found.person_number
        JOIN reku.person_addresses a ON a.institute = :blz AND a.person_number = found.person_number
        WHERE p.consent AND NOT p.estate AND p.missing_since IS NULL AND a.recipient_key <> ''
            AND NOT EXISTS (SELECT FROM reku.messages m WHERE m.order_id = :order
                AND m.person_number = found.person_number AND m.occasion_date = found.day)
            AND NOT EXISTS (SELECT FROM reku.suppressions s WHERE s.institute = :blz
                AND s.recipient_key = a.recipient_key)
            AND NOT EXISTS (SELECT FROM reku.suppressions s WHERE s.institute = :blz
                AND s.person_number = found.person_number)
        ORDER BY p.household, a.recipient_key, found.day, p.household_rank
    ) AS chosen
"""
_BARRED = sa.text("""
    INSERT INTO reku.suppressions (institute, kind, recipient_key, person_number, source, since)
    SELECT institute, 'BLACKLISTED', recipient_key, person_number, 'LINK', :now
    FROM (SELECT *, row_number() OVER (ORDER BY person_number) AS number FROM reku.person_addresses) AS a
    WHERE number % :every = 0
""")


def measure(rounds: int) -> list[dict[str, Any]]:
    """The figures of this stage. Raises SetupError if the process that measures fails."""
    return figures_of("reku.bench.selection", rounds, PEOPLE)


def campaigns() -> str:
    """Campaigns that order the occasions, as lines of the bank's file."""
    lines = "".join(
        f"""\
  - order: K2026-{number:03d}
    name: Messung {occasion}
    active: true
    announces: {{occasion: {occasion}, rhythm: TAEGLICH, valid_from: 2026-01-01, placeholder: MF_MESSUNG_{number:02d}}}
    blocks:
      - {{block: start, list: K2026-{number:03d}}}
      - {{block: wait, until: 09:10}}
      - {{block: send, media: [SCOM_GEBURTSTAG]}}
"""
        for number, occasion in enumerate(BY_HAND, start=1)
    )
    return f"campaigns:\n{lines}"


class SelectionRace:
    """The imported data and the orders of the occasions. To be used where the world is in force."""

    def __init__(self, imported: Race) -> None:
        self.engine, self._bank = engine(), institutes()[BLZ]
        imported.first_day()
        for occasion in BY_HAND:
            announce(self.engine, self._bank, occasion)
        with self.engine.begin() as connection:
            connection.execute(_BARRED, {"now": clock.now(), "every": BARRED_EVERY})
            wanted = sa.select(orders.c.id, orders.c.occasion).where(orders.c.institute == BLZ)
            self._orders: list[tuple[int, str]] = [(row.id, row.occasion) for row in connection.execute(wanted)]
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))

    def select(self) -> float:
        """CPU seconds of selecting all occasions, each into a delivery of its own."""
        self._empty()
        return cpu_seconds_of(self.engine, self._select)

    def _select(self) -> None:
        self._deliveries = [obtain(self.engine, order, clock.today()) for order, _ in self._orders]

    def decide(self) -> float:
        """CPU seconds of it that go into finding out who is selected, with reasons and funnel; nothing is written."""
        wanted = []
        with self.engine.connect() as connection:
            for order_id, occasion in self._orders:
                order = connection.execute(sa.select(orders).where(orders.c.id == order_id)).one()
                file = occasions()[occasion]
                if not isinstance(file.selection, Selection):
                    raise SetupError(f"{occasion} has no rule any more: take another occasion.")
                wanted.append((order, file.selection, file.window))

            def decide() -> None:
                for order, rule, window in wanted:
                    selected_people(connection, self._bank, order, rule, window, clock.today())

            return cpu_seconds_of(self.engine, decide)

    def by_hand(self) -> float:
        """CPU seconds of the same by statements, after `select`. Raises SetupError if they select others than ours."""
        ours = self._counted()
        with self.engine.begin() as connection:
            connection.execute(sa.text("TRUNCATE reku.selected_rows"))
        seconds = cpu_seconds_of(self.engine, self._insert)
        theirs = self._counted()
        if not ours or ours != theirs:
            raise SetupError(f"Other rows were selected by hand, so this is no measure: {ours} and {theirs}")
        return seconds

    def _insert(self) -> None:
        for (order, occasion), delivery in zip(self._orders, self._deliveries, strict=True):
            pairs, day = BY_HAND[occasion], clock.today()
            values = {"blz": BLZ, "order": order, "delivery": delivery} | _values(pairs, day)
            with self.engine.begin() as connection:
                connection.execute(sa.text(_INSERT.replace("PAIRS", pairs.sql)), values)

    @property
    def rows(self) -> int:
        """Rows of all occasions, after `select`."""
        return sum(self._counted().values())

    def _counted(self) -> dict[int, int]:
        counted = sa.select(selected_rows.c.delivery_id, sa.func.count().label("number"))
        with self.engine.connect() as connection:
            rows = connection.execute(counted.group_by(selected_rows.c.delivery_id))
            return {row.delivery_id: row.number for row in rows}

    def _empty(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text("TRUNCATE reku.deliveries CASCADE"))
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("CHECKPOINT"))


def _values(pairs: Pairs, day: date) -> dict[str, Any]:
    values: dict[str, Any] = {name: day + timedelta(days=getattr(pairs, name)) for name in ("first", "last")}
    if pairs.product:
        values["product"] = pairs.product
    if pairs.years:
        values["years"] = list(pairs.years)
    return values


def race(rounds: int, people: int) -> list[dict[str, Any]]:
    """Both sides in turns; a round before them warms up."""
    with world() as there:
        add_bank(Path(there.environment["REKU_CONFIG_DIR"]), campaigns())
        keys = {name: SECRETS[name]() for name in ("REKU_PSEUDONYM_KEYS", "REKU_VAULT_KEYS")}
        there.environment.update(keys | {"REKU_INTAKE_SECONDS": "3600"})
        with there.in_force():
            imported = Race(there, people)
            runner = SelectionRace(imported)
            whole, deciding = [], []
            for _ in range(rounds + 1):
                ours = runner.select()
                rows = runner.rows
                theirs, decided = runner.by_hand(), runner.decide()
                whole.append(theirs / ours)
                deciding.append(theirs / decided)
            runner.engine.dispose()
            imported.engine.dispose()
    of = f"of {people} customers and {people * HOLDINGS} holdings"
    return [
        _figure(f"{len(BY_HAND)} occasions selected {of}, with reasons, funnel and sealed rows", whole[1:], rows),
        _figure(f"of it: who is selected, reasons and funnel, {of}", deciding[1:], rows, None),
    ]


def _figure(what: str, ratios: list[float], rows: int, at_least: float | None = AT_LEAST) -> dict[str, Any]:
    return {
        "stage": "selection",
        "what": what,
        "against": "one hand-written INSERT … SELECT for each occasion, CPU",
        "ratio": round(statistics.median(ratios), 2),
        "at_least": at_least,
        "rounds": len(ratios),
        "rows": rows,
    }


if __name__ == "__main__":
    print(json.dumps(race(int(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201 - read by `measure`
