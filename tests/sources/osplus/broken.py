"""Broken files and what must come of them: builders for tables of bad input, and the check against a real scan."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from reku.foundation import clock
from reku.records import Head, contracts, write
from reku.sources.osplus.rejected import receipt_for_rejects
from reku.store import tables
from reku_testing import world
from reku_testing.by_blz import validate
from tests.sources.conftest import BLZ, NOW, Bank

MADE = NOW - timedelta(hours=2)
"""02:00 in Berlin: Erstellt_am of the deliveries."""

Damage = Callable[[bytes], bytes]
Line = tuple[str, str, str, str, str, str, str]
"""A receipt's row: Ebene, Status, Zeile, Referenz, Feld, Fehler_Code, Hinweis."""
Fault = tuple[int | None, str, str, str]
"""Line (None: the whole file), field, code and the whole Hinweis."""


@dataclass(frozen=True)
class Verdict:
    """What must come of a file: its receipt's rows (none: no receipt), its original's folder, its delivery's state.

    `state` and `code` are those of `deliveries`; without a state there must be no such row. `accepted` rows went on.
    """

    receipt: tuple[Line, ...]
    place: str
    state: str = ""
    code: str = ""
    accepted: int = 0


def refused(*faults: Fault, delivery: bool = True) -> Verdict:
    """Refused on reading: the first fault stands for the file, then each with its line."""
    first = faults[0]
    lines: list[Line] = [] if first[0] is None else [("DATEI", "ABGELEHNT", "", "", *first[1:])]
    for line, *rest in faults:
        level = ("DATEI", "ABGELEHNT", "") if line is None else ("SATZ", "ABGELEHNT", str(line))
        lines.append((*level, "", *rest))  # type: ignore[arg-type]  # the rest of a Fault has three texts
    return Verdict(tuple(lines), "fehler", "REFUSED" if delivery else "", first[2] if delivery else "")


def registered(code: str = "") -> Verdict:
    """Taken, and not yet before the gate; `code` is a warning."""
    return Verdict((), "archiv/2026/11", "REGISTERED", code)


def accepted(rows: int, code: str = "") -> Verdict:
    """Registered, and all its rows went on; `code` is a warning."""
    return Verdict((), "archiv/2026/11", "VALIDATED", code, rows)


def duplicate(advice: str = "Diese Lieferung ist mit gleichem Inhalt schon eingegangen.") -> Verdict:
    """Known already: archived, and nothing else."""
    return Verdict((("DATEI", "DUBLETTE", "", "", "", "DUBLETTE", advice),), "archiv/2026/11")


def sealed(body: bytes, rows: int | None = None) -> bytes:
    """The body (V to the last D) with a closing record that fits it."""
    count = len(re.findall(rb'(?m)^"?D"?;', body)) if rows is None else rows
    return body + b"N;%d;%s\r\n" % (count, hashlib.sha256(body).hexdigest().encode())


def body_of(data: bytes) -> bytes:
    """A file without its closing record."""
    return data[: data.rindex(b"\r\nN;") + 2]


def swap(old: bytes | str, new: bytes | str) -> Damage:
    """One change before the file was sealed, so that only that change is wrong."""
    old, new = (part.encode() if isinstance(part, str) else part for part in (old, new))

    def damage(data: bytes) -> bytes:
        body = body_of(data)
        assert old in body
        return sealed(body.replace(old, new, 1))

    return damage


def after(old: bytes, new: bytes) -> Damage:
    """One change made on the way, after the file was sealed."""

    def damage(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return damage


def line(number: int, change: Callable[[bytes], bytes]) -> Damage:
    """One line (1-based, without its end) changed before the file was sealed."""

    def damage(data: bytes) -> bytes:
        lines = body_of(data).split(b"\r\n")
        lines[number - 1] = change(lines[number - 1])
        return sealed(b"\r\n".join(lines))

    return damage


WRONG_COUNT = after(b"\r\nN;2;", b"\r\nN;3;")


def packed(data: bytes) -> bytes:
    """By gzip, the same bytes each time."""
    return gzip.compress(data, mtime=1)


def delivery_name(
    order: str, number: int = 17, kind: str = "REKU", end: str = ".csv", made: datetime = MADE, blz: str = BLZ
) -> str:
    """The name under which a delivery arrives."""
    return f"{kind.lower()}_{blz}_{order}_{number:06d}_{clock.berlin(made):%Y%m%d%H%M%S}{end}"


def delivery(
    order: str, rows: Sequence[Mapping[str, str]] | int = 2, number: int = 17, kind: str = "REKU", made: datetime = MADE
) -> bytes:
    """A good delivery of these rows, or of so many good ones."""
    fields = world.reku_fields if kind == "REKU" else world.iamw_fields
    listed = [fields(n, number, order) for n in range(1, rows + 1)] if isinstance(rows, int) else rows
    columns = list(dict.fromkeys(name for row in (fields(), *listed) for name in row))
    head = Head(kind, "1", BLZ, order, f"{number:06d}", made, "FI", "EMMA", "T")
    return write(contracts()[kind], head, columns, [[row.get(name, "") for name in columns] for row in listed])


def judge(engine: sa.Engine, *orders: str) -> None:
    """The gate over the registered deliveries of these orders, and its receipts, as the task does it."""
    with engine.connect() as connection:
        registered = list(
            connection.execute(
                sa.select(tables.deliveries.c.id)
                .where(tables.deliveries.c.state == "REGISTERED", tables.deliveries.c.order_number.in_(orders))
                .order_by(tables.deliveries.c.id)
            ).scalars()
        )
    for delivery_id in registered:
        validate(engine, delivery_id)
        receipt_for_rejects(engine, delivery_id)


def receipt_of(bank: Bank, name: str) -> tuple[Line, ...]:
    """The rows of a file's receipt as written, none if there is no receipt."""
    if not bank.folder("ausgang", f"quittung_{name}").exists():
        return ()
    return tuple(tuple(row.values()) for row in bank.receipt(name))  # type: ignore[misc]  # seven columns, see 9.15


def outcome(bank: Bank, name: str, data: bytes) -> Verdict:
    """What did come of the file of this name that arrived last; its original must be whole and lie in one place."""
    file = bank.rows(tables.files, tables.files.c.file_name == name)[-1]
    assert file.moving_from is None
    original = bank.root / file.stored_as
    assert original.read_bytes() == data, "the original is kept byte for byte"
    assert original.is_relative_to(bank.folder())
    found = bank.rows(tables.deliveries, tables.deliveries.c.file_id == file.id)
    went_on = bank.rows(tables.delivery_rows, tables.delivery_rows.c.delivery_id.in_([row.id for row in found]))
    place = str(original.parent.relative_to(bank.folder()))
    state, code = (found[0].state, found[0].code) if found else ("", "")
    return Verdict(receipt_of(bank, name), place, state, code, len(went_on))
