"""A file as read: its leading record, its columns and its rows, everything still text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reku.records.contract import Contract
from reku.records.faults import Fault

CONTROL = "\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029"
"""Characters that no value may hold, besides the line feed, as inside [] of a regular expression."""


@dataclass(frozen=True, slots=True)
class Head:
    """The V record.

    `delivery_number` and `version` are text as they stand in the file, leading zeros kept; `created_at` is UTC;
    `environment` is P (production) or T (test).
    """

    kind: str
    version: str
    institute: str
    order_number: str
    delivery_number: str
    created_at: datetime
    sender: str
    receiver: str
    environment: str


class Rows(Protocol):
    """Delivered rows, wherever they came from: text in the columns of a contract."""

    @property
    def contract(self) -> Contract:
        """What may stand in the columns."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns that were delivered."""

    @property
    def rows(self) -> Sequence[Sequence[str]]:
        """The values of each row, in the order of `columns`."""

    @property
    def lines(self) -> Sequence[int]:
        """A number for each row, ascending, by which the sender finds it."""

    def as_dicts(self) -> Iterator[dict[str, str]]:
        """Each row as column name → value, for exactly the contract's columns."""


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A file that passed all file-level checks: `Rows` with their head.

    The rows of a large file are `Columns`.
    """

    contract: Contract
    head: Head
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    """Line (1-based) of each row in the file."""
    warnings: tuple[Fault, ...] = ()

    def as_dicts(self) -> Iterator[dict[str, str]]:
        """Each row as column name → value, for exactly the contract's columns.

        A missing column or empty value holds the contract's default, else "". Columns that the contract does not
        know are left out: what nobody agreed on is not kept.
        """
        place = {name: index for index, name in enumerate(self.columns)}
        wanted = [(column.name, place.get(column.name), column.default) for column in self.contract.columns]
        for row in self.rows:
            yield {name: (row[index] or default) if index is not None else default for name, index, default in wanted}
