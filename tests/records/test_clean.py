"""Large files are read by column: the same rows, or the same refusal, as the reader that looks at every character."""

from __future__ import annotations

import hashlib
import re
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reku.records import (
    Contract,
    Fault,
    FileRefused,
    Head,
    RecordFile,
    clean,
    contracts,
    parsing,
    read,
    reader,
    write,
)
from reku.records.columns import Columns

ENCODINGS = ("utf-8", "iso-8859-15", "cp1252")
HEAD = Head("REKU", "1", "00950001", "R1", "000007", datetime(2026, 11, 22, 1, 15, tzinfo=UTC), "FI", "EMMA", "T")
COLUMNS = (*contracts()["REKU"].mandatory, "Vorname", "Unbekannt")

Answer = tuple[Head, tuple[str, ...], list[list[str]], list[int], tuple[Fault, ...]] | tuple[Fault, ...]


def reku(**changes: object) -> Contract:
    return contracts()["REKU"].model_copy(update={"encodings": ENCODINGS, **changes})


def _file(contract: Contract, data: bytes, encoding: str, large: int) -> RecordFile:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_LARGE", large)
        return read(contract, data, environment="T", encoding=encoding)


def _answer(contract: Contract, data: bytes, encoding: str, large: int) -> Answer:
    try:
        file = _file(contract, data, encoding, large)
    except FileRefused as refused:
        return tuple(refused.faults)
    assert [list(row.values()) for row in file.as_dicts()] == [
        [row[file.columns.index(name)] or default if name in file.columns else default for name, default in _named()]
        for row in file.rows
    ]
    return file.head, file.columns, [list(row) for row in file.rows], list(file.lines), file.warnings


def _named() -> list[tuple[str, str]]:
    return [(column.name, column.default) for column in contracts()["REKU"].columns]


def _same(data: bytes, encoding: str, contract: Contract | None = None) -> None:
    contract = contract or reku()
    exactly = _answer(contract, data, encoding, sys.maxsize)
    with pytest.MonkeyPatch.context() as patch:
        for block in (40, 8_000_000):
            patch.setattr(clean, "_BLOCK", block)
            assert _answer(contract, data, encoding, 0) == exactly


def _sealed(lines: list[bytes]) -> bytes:
    body = b"".join(lines)
    return body + b"N;%d;%s\r\n" % (len(lines) - 2, hashlib.sha256(body).hexdigest().encode())


_LETTERS = st.sampled_from([*"abZ09 ;\"'|=,\\", "ä", "ß", "€", "Ã", "¼", "\xa0", "NA", "null", "D", "N;", "\ufeff"])
_CELLS = st.lists(_LETTERS, max_size=5).map("".join)
_ROWS = st.lists(st.lists(_CELLS, min_size=len(COLUMNS), max_size=len(COLUMNS)), min_size=1, max_size=6)


def _encodable(rows: list[list[str]], encoding: str) -> list[list[str]]:
    return [[cell.encode(encoding, "ignore").decode(encoding) for cell in row] for row in rows]


@given(_ROWS, st.sampled_from(ENCODINGS), st.booleans())
def test_what_was_written_is_read_by_column_with_the_same_values(
    rows: list[list[str]], encoding: str, with_return: bool
) -> None:
    rows = _encodable(rows, encoding)
    data = write(reku(), HEAD, COLUMNS, rows, encoding=encoding)
    if not with_return:
        body = data[: data.rindex(b"N;")].replace(b"\r\n", b"\n")
        data = _sealed(body.splitlines(keepends=True))
    file = _file(reku(), data, encoding, 0)
    assert isinstance(file.rows, Columns)
    assert list(file.rows) == rows
    _same(data, encoding)


_CONTROL = [b"\r", b"\n", b"\r\n", b"\n\n", b"\x00", b"\x1a", b"\x7f", b"\x85", b"\xc2\x85", b"\xe2\x80\xa8", b"\t"]
_FRAME = [b'"', b";", b'";', b';"', b'""', b"N", b"D;", b"\nN;", b'\n"D";', b"\xef\xbb\xbf"]
_ODD = st.sampled_from([*_CONTROL, *_FRAME, b"\x81", b"\xff", b"\xc3\xbc", b" ", b"a" * 101])


@given(_ROWS, st.sampled_from(ENCODINGS), st.data())
@example([[""] * len(COLUMNS)], "utf-8", None)
def test_a_damaged_file_gets_the_same_answer(rows: list[list[str]], encoding: str, data: st.DataObject | None) -> None:
    whole = write(reku(), HEAD, COLUMNS, _encodable(rows, encoding), encoding=encoding)
    lines = whole[: whole.rindex(b"N;")].splitlines(keepends=True)
    if data is None:
        _same(_sealed([*lines[:2], b"\xef\xbb\xbf" + lines[2]]), encoding)
        return
    line = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[line])))
    removed = data.draw(st.integers(0, 2))
    lines[line] = lines[line][:place] + data.draw(_ODD) + lines[line][place + removed :]
    with pytest.MonkeyPatch.context() as patch:
        for module in (reader, parsing):
            patch.setattr(module, "LONGEST_LINE", 200)
        _same(_sealed(lines), encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_oddity_in_every_place_gets_the_same_answer(encoding: str) -> None:
    lines = write(reku(), HEAD, COLUMNS, [["x", "", *"y" * (len(COLUMNS) - 3), "ü"]] * 2, encoding=encoding)
    head, names, first, second, _ = lines.splitlines(keepends=True)
    oddities = [*_CONTROL, *_FRAME, b'"a"', b'"a"b', b'"a', b'a"b"', b"\x81", b"\xff", b"\xc3\xbc", b"a" * 201]
    with pytest.MonkeyPatch.context() as patch:
        for module in (reader, parsing):
            patch.setattr(module, "LONGEST_LINE", 200)
        for odd in oddities:
            for place in (0, 1, 2, 3, first.index(b";;") + 1, len(first) - 3, len(first) - 2, len(first)):
                body = head + names + first[:place] + odd + first[place:] + second
                _same(body + b"N;2;%s\r\n" % hashlib.sha256(body).hexdigest().encode(), encoding)


@given(_ROWS, st.integers(0), st.binary(max_size=3), st.integers(0, 3))
def test_a_file_damaged_on_its_way_gets_the_same_answer(
    rows: list[list[str]], place: int, inserted: bytes, removed: int
) -> None:
    whole = write(reku(), HEAD, COLUMNS, rows)
    place %= len(whole)
    _same(whole[:place] + inserted + whole[place + removed :], "utf-8")


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_every_delimiter_of_contracts_is_known(delimiter: str) -> None:
    contract = reku(delimiter=delimiter)
    rows = [["a;b|c", *["x"] * (len(COLUMNS) - 2), 'q"']]
    data = write(contract, HEAD, COLUMNS, rows)
    file = _file(contract, data, "utf-8", 0)
    assert isinstance(file.rows, Columns)
    assert list(file.rows) == rows
    _same(data, "utf-8", contract)
    _same(data.replace(b"a;b", b"a\tb"), "utf-8", contract)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:0],
        lambda data: data[-1:],
        lambda data: data[-1:] * 2,
        lambda data: data.rstrip(b"\r\n"),
        lambda data: data + b"\r\n",
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\r\n", b"\r"),
        lambda data: re.sub(rb"N;1;", b"N;2;", data),
        lambda data: data[: data.rindex(b"N;")],
        lambda data: data[: data.rindex(b"N;")] + b"N;1;\xff",
        lambda data: b"".join(data.splitlines(keepends=True)[::-1]),
        lambda data: b"".join(data.splitlines(keepends=True)[:1]),
        lambda data: b"".join(data.splitlines(keepends=True)[1:]),
    ],
)
def test_a_broken_frame_gets_the_same_answer(damage: object) -> None:
    assert callable(damage)
    _same(damage(write(reku(), HEAD, COLUMNS, [["x"] * len(COLUMNS)])), "utf-8")


def test_a_large_file_of_many_blocks_keeps_every_row_in_its_place() -> None:
    rows = [[f"R{n}", *["Müßig" if n % 7 else '"q"'] * (len(COLUMNS) - 1)] for n in range(3_000)]
    data = write(reku(), HEAD, COLUMNS, rows, encoding="cp1252")
    assert len(data) > reader._LARGE
    file = read(reku(), data, environment="T", encoding="cp1252")
    assert isinstance(file.rows, Columns)
    assert len(file.rows) == len(file.lines) == 3_000
    assert [file.rows[0], file.rows[-1], *file.rows[1_000:1_002]] == [rows[0], rows[-1], *rows[1_000:1_002]]
    assert list(file.rows) == rows
    assert list(file.rows.piece(2_990, 100)) == rows[2_990:]


def test_codes_of_a_partner_are_translated_in_large_files_too() -> None:
    column = contracts()["REKU"].column("Anrede")
    assert column is not None
    known = contracts()["REKU"].columns
    mapped = column.model_copy(update={"codes": {"1": "H", "2": "F"}})
    contract = reku(columns=tuple(mapped if one.name == "Anrede" else one for one in known))
    rows = [[str(n % 2 + 1)] * len(COLUMNS) for n in range(2_000)]
    data = write(contract, HEAD, COLUMNS, rows)
    at = COLUMNS.index("Anrede")
    assert len(data) * 3 > reader._LARGE
    assert [row[at] for row in _file(contract, data, "utf-8", 0).rows] == [row[at] for row in rows]
