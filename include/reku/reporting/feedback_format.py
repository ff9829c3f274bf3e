"""What a core system must bring so that its responses can be reported: one small protocol, one file per system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa

from reku.catalogue.institute import Institute


@dataclass(frozen=True)
class Stamp:
    """What was fixed about a file before it was written. `order_number` is empty in the file of all orders."""

    institute: str
    order_number: str
    number: int
    stamped_at: datetime


class Strategy(Protocol):
    """How one core system wants its responses."""

    def file_name(self, institute: str, number: int, stamped_at: datetime) -> str:
        """The name of file `number`."""

    def records(self, institute: Institute) -> sa.Select[Any]:
        """What is told of each event, in the file's order: a select over responses, messages and orders, joined."""

    def content(self, institute: Institute, stamp: Stamp, batches: Iterable[list[bytes]]) -> Iterator[bytes]:
        """The bytes of the file, block by block; `batches`: the rows of `records` as lines of CSV, by `delimiter`."""

    def delimiter(self) -> str:
        """What stands between two values of a line."""
