"""A core system that the package does not know.

Its banks have one file of all their people; the source makes a delivery of them when one is expected. What came back
goes into files of two lines each, with a companion that counts them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.records import Contract, contracts
from reku.reporting.feedback_format import OutgoingFile, Stamp
from reku.sources.source import AnnounceResult, Expected, Retried, TakenIn
from reku.store.tables import messages, orders, responses
from reku.store.unreported import unreported
from reku_testing import world


@dataclass(frozen=True)
class ToyRows:
    """The people of the file, as the gate wants them."""

    contract: Contract
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]

    def as_dicts(self) -> Iterator[dict[str, str]]:
        """Each row by column."""
        for row in self.rows:
            yield {column.name: "" for column in self.contract.columns} | dict(zip(self.columns, row, strict=True))


@dataclass
class ToySource:
    """Bank by bank a file `people.json` in `folder`, and one order that is due on each day."""

    folder: Path
    fresh: set[str] = field(default_factory=set)
    """Banks whose people have been taken in."""
    rejected: list[int] = field(default_factory=list)

    def take_in(self, engine: sa.Engine, bank: Institute) -> TakenIn:
        """The first look orders something."""
        file = self.folder / bank.blz / "people.json"
        if not file.exists():
            return TakenIn({}, (f"Institute {bank.blz}: its people have not come.",))
        with engine.connect() as connection:
            known = connection.scalar(sa.select(sa.exists().where(orders.c.institute == bank.blz)))
        if not known:
            world.subscriber_list(engine, world.order(engine, institute=bank.blz))
        self.fresh.add(bank.blz)
        return TakenIn({"people": len(json.loads(file.read_text(encoding="utf-8")))})

    def announce(self, engine: sa.Engine, bank: Institute, occasion: str) -> AnnounceResult:  # noqa: ARG002 - see `take_in`
        return AnnounceResult()

    def due_days(self, order: sa.Row[Any], bank: Institute, days: Sequence[date]) -> list[date]:  # noqa: ARG002
        return list(days)  # all are due, each day

    def expected(self, order: sa.Row[Any], bank: Institute, day: date) -> Expected:  # noqa: ARG002 - see above
        return Expected(clock.at(day, 6), f"{day:%d.%m.%Y}")

    def is_there(self, engine: sa.Engine, order: int, day: date) -> bool:  # noqa: ARG002 - the same on each day
        with engine.connect() as connection:
            return connection.scalar(sa.select(orders.c.institute).where(orders.c.id == order)) in self.fresh

    def obtain(self, engine: sa.Engine, order: int, day: date) -> int | None:
        """Made when it is asked for."""
        if not self.is_there(engine, order, day):
            return None
        return world.delivery(engine, order, day=clock.today(), period_start=day, created_at=clock.now())

    def read_rows(self, engine: sa.Engine, delivery: int) -> ToyRows:  # noqa: ARG002 - all are of the one bank
        (file,) = self.folder.glob("*/people.json")
        people: list[dict[str, str]] = json.loads(file.read_text(encoding="utf-8"))
        rows = [list(person.values()) for person in people]
        return ToyRows(contracts()["REKU"], list(people[0]), rows, range(1, len(rows) + 1))

    def tell_rejected(self, engine: sa.Engine, delivery: int) -> None:  # noqa: ARG002 - only noted
        self.rejected.append(delivery)

    def retry(self, engine: sa.Engine, delivery: int, actor: str) -> Retried:  # noqa: ARG002 - never
        raise StageError(f"Delivery {delivery} cannot be made again.")


class ToyFormat:
    """Two events in each file."""

    def unreported(self, institute: str, order_id: int | None) -> sa.Select[int]:
        return unreported(institute, order_id)

    def file_name(self, institute: str, number: int, stamped_at: datetime) -> str:  # noqa: ARG002 - not in the name
        return f"toy_{institute}_{number}_1.txt"

    def records(self, institute: Institute) -> sa.Select[Any]:  # noqa: ARG002 - the same for all
        return sa.select(messages.c.reference, responses.c.kind).order_by(messages.c.reference, responses.c.kind)

    def delimiter(self) -> str:
        return "="

    def told(self, institute: Institute, batches: Iterable[list[bytes]]) -> Iterable[list[bytes]]:  # noqa: ARG002 - see `records`
        return batches

    def files(self, institute: Institute, stamp: Stamp, batches: Iterable[list[bytes]]) -> Iterator[OutgoingFile]:
        lines = (line for batch in batches for line in batch)
        part = 0
        while some := list(islice(lines, 2)):
            part += 1
            name = f"toy_{institute.blz}_{stamp.number}_{part}.txt"
            yield OutgoingFile(name, some)
            yield OutgoingFile(f"{name}.ok", [f"{len(some)}\n".encode()])
