"""What a core system's side must do, so that the process can serve its banks: one small protocol, one room per system.

A source takes in what arrives for a bank and registers deliveries for the orders that it knows. It says what is
expected on a day, gives the rows of a delivery to the gate, and is told what the gate rejected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.records import Rows
from reku.store.states import DeliveryState


@dataclass(frozen=True)
class TakenIn:
    """What one look for a bank came to: how much of what was taken in, and what a person should look at, in sentences.

    A fault of a sender stands in one look only, and only if nobody else tells of it.
    """

    counts: Mapping[str, int]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnnounceResult:
    """What a bank's own file changed among its orders: made or changed, ended; and what a person should look at."""

    announced: int = 0
    ended: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Expected:
    """A delivery that is due and may not be there yet: until when it is waited for, and for which period it is."""

    until: datetime
    period: str


@dataclass(frozen=True)
class Retried:
    """What a refused delivery has become: REGISTERED, PARKED, or REFUSED again, with code and German advice."""

    delivery_id: int
    state: DeliveryState
    code: str
    advice: str


class Source(Protocol):
    """Where the deliveries of the banks on one core system come from."""

    def take_in(self, engine: sa.Engine, bank: Institute) -> TakenIn:
        """Take in what has arrived for a bank, after finishing what an interrupted look left.

        Another look at the same bank may be at work: then nothing is done. Raises RekuError or OSError if the place
        where the bank delivers cannot be used at all.
        """

    def announce(self, engine: sa.Engine, bank: Institute, occasion: str) -> AnnounceResult:
        """Bring the orders of an occasion in line with what the bank's own file announces; harmless when repeated.

        Where control files announce them, nothing is done.
        """

    def due_days(self, order: sa.Row[Any], bank: Institute, days: Sequence[date]) -> list[date]:
        """Those of the days on which a delivery of an order (a row of `orders`) is due, be it there or not."""

    def expected(self, order: sa.Row[Any], bank: Institute, day: date) -> Expected:
        """Until when the delivery of that day is waited for, and how it is called for people."""

    def is_there(self, engine: sa.Engine, order: int, day: date) -> bool:
        """Whether `obtain` would have the order's delivery of that day, or could say why there will be none.

        Asked every few seconds: it only looks.
        """

    def obtain(self, engine: sa.Engine, order: int, day: date) -> int | None:
        """The id of the order's delivery of that day, or None if it is not there yet.

        A source that makes its deliveries itself makes it now. Raises StageError if there will be none any more.
        """

    def read_rows(self, engine: sa.Engine, delivery: int) -> Rows:
        """The rows of a delivery as they were delivered. Raises StageError if they are gone or changed."""

    def tell_rejected(self, engine: sa.Engine, delivery: int) -> None:
        """Tell the sender what was rejected of a delivery, or that it was refused; harmless when repeated."""

    def retry(self, engine: sa.Engine, delivery: int, actor: str) -> Retried:
        """Judge a refused delivery anew, after what was wrong has been put right; `actor` stands in the audit.

        Raises StageError if it is not refused, or cannot be read again.
        """
