"""The rows of a person in an exchanged file, found and taken out, whatever its encoding and however broken it is.

Every encoding of the contracts has ASCII in it, so a file is cut into records as Latin-1, in which each byte is one
character and stays what it is. Where the frame says which column holds the person number (or only the reference),
exactly that cell counts; in a file without such a frame each line counts in which the number stands as a word.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from reku.foundation import unpacking
from reku.foundation.unpacking import GZIP, ArchiveTooLarge, BrokenArchive
from reku.records import contracts
from reku.records.contract import Role

DELIMITERS = ";|\t"
"""Those that a contract may name."""
_BOM = "\xef\xbb\xbf"
_BYTES = "latin-1"


class Unreadable(Exception):
    """A packed file that cannot be unpacked: nobody can look into it."""


@dataclass(frozen=True)
class Text:
    """An unpacked file."""

    data: bytes
    packed: bool

    @cached_property
    def lines(self) -> list[str]:
        """Its lines with their ends, one character for each byte."""
        *whole, rest = self.data.decode(_BYTES).split("\n")
        return [f"{line}\n" for line in whole] + [rest] * bool(rest)


@dataclass(frozen=True)
class PersonRow:
    """A record of a person: its lines (1-based, both included) and its cells by column; without a frame the line."""

    first: int
    last: int
    cells: dict[str, str]

    @property
    def reference(self) -> str:
        """The row's key at its sender, or empty."""
        return next((self.cells[name] for name in _called("reference") if name in self.cells), "")


@dataclass(frozen=True)
class _Frame:
    """Which line names the columns, and how."""

    line: int
    delimiter: str
    columns: tuple[str, ...]
    key: str
    names_people: bool
    """Whether `key` is a column of person numbers, not of references."""


def unpack(data: bytes) -> Text:
    """A file, unpacked. Raises Unreadable for a broken archive, or one that grows beyond what any contract allows."""
    if not data.startswith(GZIP):
        return Text(data, packed=False)
    try:
        contents = unpacking.unpack(data, max(contract.max_bytes for contract in contracts().values()))
    except (BrokenArchive, ArchiveTooLarge):
        raise Unreadable from None
    return Text(contents, packed=True)


def find(text: Text, number: str, references: Collection[str] = ()) -> list[PersonRow]:
    """The person's rows: by person number, or by these references in a file that has no such column."""
    people = _spellings([number])
    others = _spellings(references)
    if not any('"' in word or word.encode(_BYTES) in text.data for word in people | others):
        return []  # most files: none of them has to be taken apart
    words = re.compile("|".join(rf"(?<![0-9A-Za-z]){re.escape(word)}(?![0-9A-Za-z])" for word in people))
    frame = _frame(text)
    if frame is not None:
        try:
            return list(_by_column(text, frame, people if frame.names_people else others, words))
        except csv.Error:  # quotes that are not closed, or a cell without end
            pass
    return [PersonRow(at, at, {"": readable(line)}) for at, line in enumerate(text.lines, 1) if words.search(line)]


def without(text: Text, rows: Sequence[PersonRow]) -> bytes:
    """The file without these rows; count and check sum of the closing record are right again if they were before."""
    gone = {line for row in rows for line in range(row.first, row.last + 1)}
    kept = [line for at, line in enumerate(text.lines, 1) if at not in gone]
    if kept and (delimiter := _closing_record(text.lines)):
        end = re.search(r"\r?\n?$", kept[-1])
        body = "".join(kept[:-1]).removeprefix(_BOM).encode(_BYTES)
        closing = delimiter.join(("N", str(len(kept) - 3), hashlib.sha256(body).hexdigest()))
        kept[-1] = closing + (end[0] if end else "")
    data = "".join(kept).encode(_BYTES)
    return gzip.compress(data, mtime=0) if text.packed else data


def readable(text: str) -> str:
    """Text that was taken byte by byte, in the first encoding of the contracts that it can be."""
    raw = text.encode(_BYTES)
    for encoding in _encodings():
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return text


def _by_column(text: Text, frame: _Frame, wanted: set[str], words: re.Pattern[str]) -> Iterator[PersonRow]:
    at, width, last = frame.columns.index(frame.key), len(frame.columns), 0
    reader = csv.reader(text.lines, delimiter=frame.delimiter, strict=True)
    for record in reader:
        first, last = last + 1, reader.line_num
        if first <= frame.line or (record[:1] == ["N"] and len(record) == 3 and last == len(text.lines)):
            continue
        # in a broken record the number may have slipped into another cell
        told = words.search(frame.delimiter.join(record)) if len(record) != width else record[at] in wanted
        if told:
            cells = dict(zip(frame.columns, map(readable, record), strict=False))
            cells.pop("K", None)
            yield PersonRow(
                first, last, cells | ({"": readable(";".join(record[width:]))} if len(record) > width else {})
            )


def _frame(text: Text) -> _Frame | None:
    """The columns as the K record of the second line, or a plain header line, names them."""
    people, references = _called("person_number"), _called("reference")
    for line, content in enumerate(text.lines[:2], 1):
        for delimiter in DELIMITERS:
            try:
                columns = tuple(next(csv.reader([content.removeprefix(_BOM)], delimiter=delimiter), []))
            except csv.Error:
                continue
            keys = [name for name in columns if name in people] or [name for name in columns if name in references]
            if keys and len(set(columns)) == len(columns):
                return _Frame(line, delimiter, columns, keys[0], keys[0] in people)
    return None


def _closing_record(lines: Sequence[str]) -> str:
    """The delimiter of a closing record whose count and check sum are right; empty where there is none."""
    closing = re.fullmatch(r'"?N"?([;|\t])([0-9]{1,9})\1([0-9a-f]{64})\r?\n?', lines[-1])
    if closing is None or int(closing[2]) != len(lines) - 3:
        return ""
    body = "".join(lines[:-1]).removeprefix(_BOM).encode(_BYTES)
    return closing[1] if hashlib.sha256(body).hexdigest() == closing[3] else ""


def _called(role: Role) -> frozenset[str]:
    """What the contracts call their columns of a role."""
    return frozenset(contract.roles[role] for contract in contracts().values() if role in contract.roles)


def _encodings() -> tuple[str, ...]:
    """Those of all contracts; utf-8 first, since the others read almost any bytes as something."""
    all_of_them = {encoding for contract in contracts().values() for encoding in contract.encodings}
    return tuple(sorted(all_of_them, key=lambda encoding: (encoding != "utf-8", encoding == "cp1252", encoding)))


def _spellings(words: Collection[str]) -> set[str]:
    """The words as they stand in files of any encoding."""
    spellings = set()
    for word in filter(None, words):
        for encoding in _encodings():
            try:
                spellings.add(word.encode(encoding).decode(_BYTES))
            except UnicodeEncodeError:
                continue
    return spellings
