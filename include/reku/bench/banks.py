"""Stage "banks": what grows with the number of banks and orders: a day's work listed, and a scan that finds nothing.

350 banks with 20 orders each stand in the tables, with ten earlier deliveries for each order, and as YAML files.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from reku.bench.world import world
from reku.catalogue import occasions
from reku.catalogue.rhythm import Rhythm
from reku.foundation import clock
from reku.foundation.errors import SetupError
from reku.process.due_work import due_items
from reku.process.intake import take_in
from reku.process.systems import served_banks
from reku.store.kinds import DeliverySource, OsplusInterface, OsplusOrigin
from reku.store.states import DeliveryState, FileVerdict
from reku.store.tables import deliveries, files, orders, osplus_orders

BANKS, ORDERS, EARLIER = 350, 20, 10
"""Banks, orders of each, and earlier deliveries of each order."""
ALL_OF = "MCAG002"
"""The occasion that all banks have ordered."""
AT_LEAST = 1 / 3
"""Listing may take three times what the bare statement takes."""
MOST_SECONDS = 2.0
"""CPU of a scan of all inboxes, none of which holds a file."""

_BANK = """\
blz: "{blz}"
name: Messbank {number}
core_system: osplus
state: NW
interface_active_from: 2025-01-01
sender:
  name: Messbank {number}
  address: service@bank{number}.example
  domains: [bank{number}.example]
colours: {{primary: "#CC0000"}}
imprint: Messbank {number}, Marktplatz 1, 99999 Musterstadt
campaigns:
"""
_CAMPAIGN = """\
  - order: {order}
    name: Auftrag {order}
    active: true
    blocks:
      - {{block: start, list: {order}}}
      - {{block: wait, until: 10:30}}
      - {{block: send, media: [SCOM_GEBURTSTAG]}}
"""
_BARE = sa.text("""
    SELECT o.id, o.institute, o.order_number, o.name, d.id AS delivery, d.delivery_number
    FROM reku.orders o
    LEFT JOIN reku.deliveries d ON d.order_id = o.id AND d.day = :day AND d.state = 'REGISTERED'
    WHERE o.occasion = :occasion
    ORDER BY o.institute, o.order_number, d.delivery_number
""")


@dataclass(frozen=True)
class Sizes:
    """How many banks, orders of each bank, and earlier deliveries of each order."""

    banks: int = BANKS
    orders: int = ORDERS
    earlier: int = EARLIER

    def blz(self, number: int) -> str:
        """The BLZ of a bank, from 0."""
        return f"9{number:07d}"


def measure(rounds: int, sizes: Sizes = Sizes()) -> list[dict[str, Any]]:  # frozen
    """The figures of this stage. Raises SetupError if what was listed or scanned cannot be right."""
    with many_banks(sizes) as engine:
        return [listing(engine, sizes, rounds), scanning(engine, sizes, rounds)]


@contextmanager
def many_banks(sizes: Sizes) -> Iterator[sa.Engine]:
    """The database and the configuration of so many banks, in force for this process."""
    with world() as there:
        folder = Path(there.environment["REKU_CONFIG_DIR"]) / "institutes"
        for file in folder.glob("*.yaml"):
            file.unlink()
        for number in range(sizes.banks):
            text = _BANK.format(blz=sizes.blz(number), number=number)
            text += "".join(_CAMPAIGN.format(order=_order_number(one)) for one in range(sizes.orders))
            (folder / f"{sizes.blz(number)}.yaml").write_text(text, encoding="utf-8")
        Path(there.environment["REKU_FILES_URL"]).mkdir()
        with there.in_force():
            _fill(there.engine, sizes)
            yield there.engine


def listing(engine: sa.Engine, sizes: Sizes, rounds: int) -> dict[str, Any]:
    """A day's work of the occasion that all have ordered, against one bare statement for the same rows."""
    day = clock.today()
    ratios = list(_alternated(rounds, lambda: _listed(engine, sizes, day), lambda: _read(engine, sizes, day)))
    return {
        "stage": "banks",
        "what": f"a day's work of one occasion of {sizes.banks} banks listed, {sizes.banks * sizes.orders} orders",
        "against": "one bare statement for the same rows",
        "ratio": round(statistics.median(ratios), 2),
        "at_least": round(AT_LEAST, 2),
        "rounds": rounds,
        "rows": sizes.banks,
    }


def scanning(engine: sa.Engine, sizes: Sizes, rounds: int) -> dict[str, Any]:
    """An intake scan of all inboxes, which are local folders and empty, in seconds of this process's CPU."""
    seconds = [_scanned(engine, sizes) for _ in range(rounds + 1)][1:]  # the first one makes the folders
    return {
        "stage": "banks",
        "what": f"intake scan of {sizes.banks} empty local inboxes, CPU",
        "against": f"{MOST_SECONDS:g} s of CPU",
        "ratio": round(MOST_SECONDS / statistics.median(seconds), 2),
        "at_least": 1,
        "rounds": rounds,
        "rows": sizes.banks,
    }


def _scanned(engine: sa.Engine, sizes: Sizes) -> float:
    begun = time.process_time()
    taken = [take_in(engine, institute) for institute in served_banks()]
    seconds = time.process_time() - begun
    if len(taken) != sizes.banks or any(one.counts or one.problems for one in taken):
        raise SetupError(f"{len(taken)} banks were scanned: {[one.problems for one in taken if one.problems][:1]}")
    return seconds


def _alternated(rounds: int, ours: Callable[[], float], bare: Callable[[], float]) -> Iterator[float]:
    """Bare over ours, in turns; a round before them only warms up."""
    for number in range(rounds + 1):
        first, second = (ours, bare) if number % 2 else (bare, ours)
        seconds = {first: first(), second: second()}
        if number:
            yield seconds[bare] / seconds[ours]


def _listed(engine: sa.Engine, sizes: Sizes, day: date) -> float:
    begun = time.perf_counter()
    items = due_items(engine, ALL_OF, day, day)
    seconds = time.perf_counter() - begun
    _check(len(items), sizes)
    return seconds


def _read(engine: sa.Engine, sizes: Sizes, day: date) -> float:
    begun = time.perf_counter()
    with engine.connect() as connection:
        rows = connection.execute(_BARE, {"occasion": ALL_OF, "day": day}).all()
    seconds = time.perf_counter() - begun
    _check(len(rows), sizes)
    return seconds


def _check(count: int, sizes: Sizes) -> None:
    if count != sizes.banks:
        raise SetupError(f"{count} pieces of work were found for {sizes.banks} banks: the speed means nothing.")


def _fill(engine: sa.Engine, sizes: Sizes) -> None:
    """Orders of as many occasions; of the common one each second order has its delivery, the others wait for it."""
    codes = [ALL_OF, *(code for code in occasions() if code != ALL_OF)][: sizes.orders]
    today = clock.today()
    with engine.begin() as connection:
        connection.execute(sa.delete(osplus_orders))
        connection.execute(sa.delete(orders))
        connection.execute(
            sa.insert(orders),
            [_order(sizes, bank, one, codes, today) for bank in range(sizes.banks) for one in range(sizes.orders)],
        )
        wanted = sa.select(orders.c.id, orders.c.institute, orders.c.order_number, orders.c.occasion)
        made = connection.execute(wanted).all()
        of_osplus = {"interface": OsplusInterface.REKU, "origin": OsplusOrigin.BANK, "control_created_at": clock.now()}
        connection.execute(
            sa.insert(osplus_orders), [of_osplus | {"order_id": row.id, "institute": row.institute} for row in made]
        )
        for age in range(sizes.earlier, -1, -1):
            day = today - timedelta(days=age)
            registered = [row for row in made if age or (row.occasion == ALL_OF and int(row.institute) % 2)]
            _deliver(connection, registered, day, sizes.earlier - age + 1, loaded=age > 0)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))


def _order_number(one: int) -> str:
    return f"R{one:07d}"


def _order(sizes: Sizes, bank: int, one: int, codes: list[str], today: date) -> dict[str, Any]:
    return {
        "institute": sizes.blz(bank),
        "order_number": _order_number(one),
        "name": f"Auftrag_{one}",
        "occasion": codes[one % len(codes)],
        "rhythm": Rhythm.TAEGLICH,
        "valid_from": today - timedelta(days=400),
        "expected_by": clock_time(6),
    }


def _deliver(connection: sa.Connection, made: Sequence[Any], day: date, number: int, *, loaded: bool) -> None:
    """One delivery of a day for each of these orders."""
    moment = clock.at(day, 3)
    names = [f"{row.institute}_{row.order_number}_{number}" for row in made]
    kept = connection.execute(
        sa.insert(files).returning(files.c.id, sort_by_parameter_order=True),
        [
            {
                "institute": row.institute,
                "file_name": name,
                "kind": "REKU",
                "sha256": "0" * 64,
                "received_at": moment,
                "verdict": FileVerdict.REGISTERED,
                "stored_as": name,
            }
            for row, name in zip(made, names, strict=True)
        ],
    ).scalars()
    connection.execute(
        sa.insert(deliveries),
        [
            {
                "institute": row.institute,
                "source": DeliverySource.OSPLUS_FILE,
                "file_id": file,
                "contract": "REKU",
                "order_number": row.order_number,
                "order_id": row.id,
                "occasion": row.occasion,
                "delivery_number": number,
                "created_at": moment,
                "day": day,
                "period_start": day,
                "state": DeliveryState.LOADED if loaded else DeliveryState.REGISTERED,
                "released_at": moment if loaded else None,
                "loaded_at": moment if loaded else None,
                "rows": 1 if loaded else None,
                "accepted": 1 if loaded else None,
                "rejected": 0 if loaded else None,
            }
            for row, file in zip(made, kept, strict=True)
        ],
    )
