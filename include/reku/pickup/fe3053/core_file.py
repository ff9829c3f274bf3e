"""The files for FE 3053: parts of 10,000 rows without frame and header, each with its companion (layout FE3053)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from reku.catalogue.institute import Institute
from reku.dispatch.plan import SendPlan
from reku.foundation.bank_folders import MARKER
from reku.foundation.clock import berlin
from reku.pickup.file_format import FileStamp, PreparedPerson
from reku.records.contract import contracts
from reku.records.faults import Fault, FaultCode, FileRefused
from reku.reporting.feedback_format import OutgoingFile
from reku.store.kinds import PreparedKind

KIND = "FE3053"
ROWS_OF_A_PART = 10_000
MOST_ROWS = 99 * ROWS_OF_A_PART
"""A part has two digits; what is more is a change still, and stands in the next file."""


@dataclass(frozen=True)
class CoreFields:
    """`fe3053_<BLZ>_<Berlin time>_<part>.csv`, and `….csv.ok` with `count;SHA-256` beside each."""

    kind: PreparedKind = PreparedKind.FE3053
    rows_of_a_part: int = ROWS_OF_A_PART

    def check_media(self, plan: SendPlan) -> None:
        """It has none."""

    def file_name(self, stamp: FileStamp) -> str:
        """Of the first part."""
        return _name_of(f"fe3053_{stamp.institute}_{berlin(stamp.stamped_at):%Y%m%d%H%M%S}", 1)

    def files(
        self,
        bank: Institute,
        stamp: FileStamp,  # noqa: ARG002 - see FileFormat
        name: str,
        people: Iterable[PreparedPerson],
    ) -> Iterator[OutgoingFile]:
        """The parts with their companions. Raises FileRefused for what the contract does not allow."""
        rows = ((bank.blz, one.person_number, *one.values) for one in people)
        stem, part = name.removesuffix(".csv").rpartition("_")[0], 0
        while some := list(islice(rows, self.rows_of_a_part)):
            part += 1
            data = _data(some, first=1)
            yield OutgoingFile(_name_of(stem, part), [data])
            check_sum = hashlib.sha256(data).hexdigest()
            yield OutgoingFile(f"{_name_of(stem, part)}{MARKER}", [f"{len(some)};{check_sum}\r\n".encode()])


CORE_FIELDS = CoreFields()


def _name_of(stem: str, part: int) -> str:
    return f"{stem}_{part:02d}.csv"


def _data(rows: Sequence[Sequence[str]], *, first: int) -> bytes:
    """The lines of a part; every value is one that needs no quotes."""
    contract = contracts()[KIND]
    patterns = [re.compile(column.pattern or "[A-Z0-9.]*") for column in contract.columns]
    lengths = [column.length or len("TT.MM.JJJJ") for column in contract.columns]
    faults = [
        Fault(
            FaultCode.FORMAT,
            line,
            column.name,
            f"Der Wert muss {pattern.pattern} entsprechen, höchstens {length} Zeichen.",
        )
        for line, row in enumerate(rows, first)
        for column, pattern, length, value in zip(contract.columns, patterns, lengths, row, strict=True)
        if not pattern.fullmatch(value) or len(value) > length
    ]
    if faults:
        raise FileRefused(faults[:10])
    return "".join(f"{contract.delimiter.join(row)}\r\n" for row in rows).encode(contract.encodings[0])
