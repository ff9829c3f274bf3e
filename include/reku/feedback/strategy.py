"""What a core system must bring so that its responses can be reported: one small protocol, one file per system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reku.catalogue.institute import Institute


@dataclass(frozen=True)
class Stamp:
    """What was fixed about a file before it was written. `order_number` is empty in the file of all orders."""

    institute: str
    order_number: str
    number: int
    stamped_at: datetime


@dataclass(frozen=True)
class Told:
    """One event as it is reported (columns of domain.md 9.6)."""

    event_id: str
    kind: str
    at: datetime
    reference: str
    person_number: str
    order_number: str
    delivery_number: int
    occasion: str
    reason: str
    scope: str
    link_number: int | None
    link_target: str
    bounce_series: int | None
    medium: str


class Strategy(Protocol):
    """How one core system wants its responses."""

    def file_name(self, institute: str, number: int, stamped_at: datetime) -> str:
        """The name of file `number`."""

    def content(self, institute: Institute, stamp: Stamp, told: Sequence[Told]) -> bytes:
        """The bytes of the file: the same for the same arguments, in whatever order `told` comes."""
