"""Whatever the bytes: the reader answers with a file, or with a refusal that can be told to its sender."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from reku.foundation.errors import RekuError
from reku.records import (
    Contract,
    FaultCode,
    FileRefused,
    Head,
    RecordFile,
    contracts,
    match_name,
    read,
    row_faults,
    write,
)
from reku.sources.inbox.receipts import KIND, refusal

EXAMPLES = sorted((Path(__file__).parent / "examples").iterdir())
ENCODINGS = ("utf-8", "iso-8859-15", "cp1252")

LONGEST_FIELD = 60
"""Characters of a field's name in a receipt (9.15)."""

PIECES = [
    *(b";", b'"', b'""', b'";"', b"|", b",", b"\t", b"\r", b"\n", b"\r\n", b"\r\r\n", b" ", b"\x00", b"\x1a", b"\x7f"),
    *(b"\xef\xbb\xbf", b"\xff", b"\xc3", b"\xc3\xa4", b"\xe4", b"\xc2\x85", b"\x80", b"\x81", "\u2028".encode()),
    *("\U0001f600".encode(), b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x1f\x8b", b"PK\x03\x04"),
    *(b"V;", b"K;", b"D;", b"N;", b"\nN;", b"\nN\n", b'\n"N";', b"\nD;x\n", b"\nV;REKU;1\n", b"\nK;Referenz\n"),
    *(
        b"31.02.2026",
        b"00.00.0000 99:99:99",
        b"01.01.0001 00:00:00",
        b"99950001",
        b"REKU",
        b"T",
        b"P",
        b"-1",
        b"9" * 30,
        "٣".encode(),
    ),
]
"""What cuts, quotes, ends or misleads."""


HEAD = Head(KIND, "1", "99950001", "", "0", datetime(2026, 11, 22, 1, tzinfo=UTC), "EMMA", "FI", "T")


def _sealed(data: bytes) -> bytes:
    """The file with a count and a check sum that fit whatever stands before its last N: the damage gets further in."""
    place = data.rfind(b"\nN") + 1
    body = data[:place] or data
    count = len(re.findall(rb'(?m)^"?D"?[;|\t]', body))
    delimiter = data[1:2] if data[:1] == b"V" else b";"
    return body + delimiter.join([b"N", b"%d" % count, hashlib.sha256(body).hexdigest().encode()]) + b"\r\n"


Mutation = Callable[[bytes], bytes]


def _flip(place: float, byte: int, _: int) -> Mutation:
    def mutate(data: bytes) -> bytes:
        at = int(place * len(data))
        return data[:at] + bytes([byte]) + data[at + 1 :]

    return mutate


def _delete(place: float, byte: int, _: int) -> Mutation:
    return lambda data: data[: int(place * len(data))] + data[int(place * len(data)) + byte :]


def _insert(place: float, byte: int, times: int) -> Mutation:
    piece = PIECES[byte % len(PIECES)] * times
    return lambda data: data[: int(place * len(data))] + piece + data[int(place * len(data)) :]


def _repeat(place: float, byte: int, times: int) -> Mutation:
    def mutate(data: bytes) -> bytes:
        at = int(place * len(data))
        return data[:at] + data[at : at + byte] * min(times, 3_000) + data[at + byte :]

    return mutate


def _repeat_line(place: float, _: int, times: int) -> Mutation:
    def mutate(data: bytes) -> bytes:
        lines = data.splitlines(keepends=True) or [b""]
        at = int(place * len(lines))
        return b"".join([*lines[:at], *lines[at : at + 1] * min(times, 300), *lines[at + 1 :]])

    return mutate


def _replace_cell(place: float, byte: int, times: int) -> Mutation:
    def mutate(data: bytes) -> bytes:
        cells = re.split(rb"([;|\t\n])", data)
        at = int(place * len(cells)) // 2 * 2
        return b"".join([*cells[:at], PIECES[byte % len(PIECES)] * times, *cells[at + 1 :]])

    return mutate


def _truncate(place: float, _: int, __: int) -> Mutation:
    return lambda data: data[: int(place * len(data))]


def _swap_halves(place: float, _: int, __: int) -> Mutation:
    return lambda data: data[int(place * len(data)) :] + data[: int(place * len(data))]


def _seal(_: float, __: int, ___: int) -> Mutation:
    return _sealed


KINDS = (
    _flip,
    _delete,
    _insert,
    _insert,
    _replace_cell,
    _replace_cell,
    _repeat,
    _repeat_line,
    _truncate,
    _swap_halves,
    _seal,
    _seal,
)
MUTATIONS = st.lists(
    st.builds(
        lambda kind, place, byte, times: kind(place, byte, times),
        st.sampled_from(KINDS),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 255),
        st.sampled_from([1, 1, 1, 2, 3, 50, 1_000, 60_000]),
    ),
    min_size=1,
    max_size=3,
)


@st.composite
def _agreements(draw: st.DrawFn) -> tuple[Contract, str, str]:
    """A contract as an operator could have written it, an encoding, and the name of its example."""
    path = draw(st.sampled_from(EXAMPLES))
    known = match_name(path.name)
    assert known is not None
    changes = {
        "file_name": known[0].file_name.removesuffix("$") + r"(\.gz)?$",
        "encodings": draw(st.sampled_from([ENCODINGS, ENCODINGS, ENCODINGS, ENCODINGS[:1], ENCODINGS[2:]])),
        "delimiter": draw(st.sampled_from([";", ";", "|", "\t"])),
        "frame": draw(st.sampled_from(["vkdn", "vkdn", "vkdn", "plain"])),
        "gzip": draw(st.sampled_from([True, True, False])),
        "max_bytes": draw(st.sampled_from([300_000_000] * 5 + [2_000])),
    }
    return known[0].model_copy(update=changes), draw(st.sampled_from(ENCODINGS)), path.name


def _good(contract: Contract, encoding: str, name: str) -> bytes:
    """The example of this name as the agreement demands it."""
    shipped = contracts()[contract.kind]
    file = read(shipped, (Path(__file__).parent / "examples" / name).read_bytes(), environment="T")
    lenient = contract.model_copy(update={"encodings": ENCODINGS})
    data = write(lenient, file.head, file.columns, file.rows, encoding=encoding)
    if contract.frame == "plain":
        return b"".join(line[2:] for line in data.splitlines(keepends=True)[1:-1])
    return data


def _answer(contract: Contract, data: bytes, name: str | None, encoding: str | None) -> RecordFile | None:
    """The file as read, or None if it was refused; anything else is a failure."""
    try:
        file = read(contract, data, environment="T", file_name=name, encoding=encoding)
    except FileRefused as refused:
        _check_refusal(refused)
        return None
    except RekuError:
        if encoding in (None, *contract.encodings):
            raise
        return None
    assert encoding in (None, *contract.encodings)
    assert len(file.rows) == len(file.lines)
    assert {len(row) for row in file.rows} <= {len(file.columns)}
    assert len(list(file.as_dicts())) == len(file.rows)
    for warning in file.warnings:
        assert len(warning.field) <= LONGEST_FIELD
    for fault in row_faults(contract, file):
        assert fault.line in file.lines
        assert fault.advice
    return file


def _check_refusal(refused: FileRefused) -> None:
    """Every fault has a code, a place that can be and advice; and its receipt can be written and read."""
    assert len(refused.faults) <= 20
    for fault in refused.faults:
        assert isinstance(fault.code, FaultCode)
        assert fault.line is None or fault.line >= 1
        assert 0 < len(fault.advice) <= 200
        assert len(fault.field) <= LONGEST_FIELD
    receipts = contracts()[KIND]
    columns = tuple(column.name for column in receipts.columns)
    rows = [[line.cells()[column] for column in columns] for line in refusal(refused.faults)]
    data = write(receipts, HEAD, columns, rows)
    assert row_faults(receipts, read(receipts, data, environment="T")) == []


CHOICES = {"packed": st.booleans(), "named": st.booleans(), "pick": st.sampled_from([None, *ENCODINGS])}
EVERY_TIME_THE_SAME = settings(derandomize=True, database=None, max_examples=300)


def _names(name: str, packed: bool, named: bool) -> str | None:
    return f"{name}.gz" if packed else name if named else None


@EVERY_TIME_THE_SAME
@given(agreed=_agreements(), data=st.binary(max_size=2_000), **CHOICES)
def test_any_bytes_are_answered(
    agreed: tuple[Contract, str, str], data: bytes, packed: bool, named: bool, pick: str | None
) -> None:
    contract, _, name = agreed
    _answer(contract, data, _names(name, packed, named), pick)
    _answer(contract, gzip.compress(data), f"{name}.gz", pick)


@EVERY_TIME_THE_SAME
@given(agreed=_agreements(), pieces=st.lists(st.sampled_from(PIECES), max_size=60), **CHOICES)
def test_any_pieces_of_files_are_answered(
    agreed: tuple[Contract, str, str], pieces: list[bytes], packed: bool, named: bool, pick: str | None
) -> None:
    contract, encoding, name = agreed
    data = b"".join(pieces)
    first_two = b"".join(_good(contract, encoding, name).splitlines(keepends=True)[:2])
    for given_data in (data, _sealed(data), _sealed(first_two + data)):
        _answer(contract, given_data, _names(name, packed, named), pick)


@EVERY_TIME_THE_SAME
@given(agreed=_agreements(), mutations=MUTATIONS, packed=st.booleans(), named=st.booleans())
def test_a_damaged_file_is_answered(
    agreed: tuple[Contract, str, str], mutations: list[Mutation], packed: bool, named: bool
) -> None:
    contract, encoding, name = agreed
    data = _good(contract, encoding, name)
    for mutate in mutations:
        data = mutate(data)[:1_000_000]
    for form in (data, _sealed(data)):
        _answer(contract, form, name if named else None, encoding)
        if packed:
            _answer(contract, gzip.compress(form, 1), f"{name}.gz", encoding)


@EVERY_TIME_THE_SAME
@given(agreed=_agreements(), mutations=MUTATIONS)
def test_a_damaged_archive_is_answered(agreed: tuple[Contract, str, str], mutations: list[Mutation]) -> None:
    contract, encoding, name = agreed
    data = gzip.compress(_good(contract, encoding, name))
    for mutate in mutations:
        data = mutate(data)[:1_000_000]
    _answer(contract, data, f"{name}.gz", encoding)


@EVERY_TIME_THE_SAME
@given(agreed=_agreements())
def test_without_damage_all_of_them_are_read(agreed: tuple[Contract, str, str]) -> None:
    """The other tests would be worth little if their files were refused for their agreement already."""
    contract, encoding, name = agreed
    contract = contract.model_copy(update={"encodings": ENCODINGS, "max_bytes": 300_000_000})
    if contract.frame == "plain" and contract.kind == KIND:
        return  # a plain file has its moment from its name, and a receipt's name has none
    assert _answer(contract, _good(contract, encoding, name), name, encoding) is not None


def _plainly(contract: Contract, name: str) -> str | None:
    """A plain file takes its moment from its name; receipts, whose names have none, never come as plain ones."""
    return name
