"""How a core system wants to be told what came back: one small protocol, one module of `formats` per system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation.settings import settings
from reku.records.contract import Contract
from reku.records.record_file import Head


@dataclass(frozen=True)
class Stamp:
    """What was fixed about a report before it was written. `order_number` is empty in one about all orders.

    `file_name` is the name it goes by: of its only file, or of its first.
    """

    institute: str
    order_number: str
    number: int
    stamped_at: datetime
    file_name: str

    def head(self, contract: Contract, *, sender: str, receiver: str) -> Head:
        """The head of the report as a record file of that contract."""
        return Head(
            kind=contract.kind,
            version=contract.version,
            institute=self.institute,
            order_number=self.order_number,
            delivery_number=f"{self.number:06d}",
            created_at=self.stamped_at,
            sender=sender,
            receiver=receiver,
            environment=settings().environment,
        )


@dataclass(frozen=True)
class OutgoingFile:
    """One file of a report: its name in the outbox, and its bytes block by block."""

    name: str
    blocks: Iterable[bytes]


class FeedbackFormat(Protocol):
    """How one core system wants to be told. Each event is told once, in one report of one file or of several."""

    def unreported(self, institute: str, order_id: int | None) -> sa.Select[int]:
        """Ids of the events of an institute, or of one order, that are to be told now and stand in no report yet."""

    def file_name(self, institute: str, number: int, stamped_at: datetime) -> str:
        """The name that report `number` goes by."""

    def records(self, institute: Institute) -> sa.Select[Any]:
        """What is told of each event, in the report's order: a select over it, its message, order and delivery."""

    def delimiter(self) -> str:
        """What stands between two values of a line of `records`."""

    def told(self, institute: Institute, batches: Iterable[list[bytes]]) -> Iterable[list[bytes]]:
        """The lines of `records` as they stand in the files, no batch of them empty.

        Here what only the core system may see is put in; lines that cannot be told are left out, and counted.
        """

    def files(self, institute: Institute, stamp: Stamp, batches: Iterable[list[bytes]]) -> Iterator[OutgoingFile]:
        """The report's files in the order in which they are put, such as parts, and a companion with their check sums.

        `batches`: what `told` has made of the lines. The blocks of a file are read before the next one is asked
        for. The same rows give the same bytes. Raises FileRefused for what the format does not allow.
        """
