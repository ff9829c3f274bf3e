"""However a file is made, refusing it takes no more than a fixed multiple of what its contract allows in bytes."""

from __future__ import annotations

import gzip
import hashlib
import tracemalloc
from pathlib import Path

import pytest

from reku.records import FaultCode, FileRefused, contracts, read

NAME = "reku_99950001_R0004711_000017_20261122021500.csv"
V, K, *_ = (Path(__file__).parent / "examples" / NAME).read_bytes().splitlines(keepends=True)
ROW = b"D" + b";a1" * 22 + b"\r\n"
MOST = 1_000_000
"""Bytes that the contract of these tests allows."""
TIMES = 12
"""So often the bytes allowed may be held, in whatever form, while a file is read; a list of all cells takes 80."""

C = FaultCode


def _full(piece: bytes, last: bytes = b"") -> bytes:
    """V, K, as many of these as the contract allows, and an N record that fits them."""
    body = V + K + piece * ((MOST - 2_000) // len(piece)) + last
    body += b"" if body.endswith(b"\n") else b"\n"
    return body + b"N;%d;%s\n" % (body.count(b"\nD"), hashlib.sha256(body).hexdigest().encode())


HOSTILE: dict[str, tuple[bytes, FaultCode]] = {
    "line ends": (_full(b"\n"), C.SATZART),
    "one letter a line": (_full(b"a\n"), C.SATZART),
    "two letters a line": (_full(b"ab\n"), C.SATZART),
    "D records of nothing": (_full(b"D;\n"), C.ZELLENZAHL),
    "D records of too much": (_full(b"D" + b";" * 23 + b"\n"), C.ZELLENZAHL),
    "delimiters": (_full(b";"), C.SATZ_ZU_LANG),
    "quotes": (_full(b'"'), C.SATZ_ZU_LANG),
    "empty quotes": (_full(b'"";""\n'), C.SATZART),
    "quotes that open line by line": (_full(b'D;"\n'), C.ZEILENUMBRUCH),
    "characters of four bytes": (_full("\U0001f600".encode()), C.SATZ_ZU_LANG),
    "lines as long as allowed": (_full(b"x" * 99_999 + b"\n"), C.SATZART),
    "250,000 column names": (V + b"K" + b";x" * ((MOST - 2_000) // 2) + b"\nN;0;\n", C.SATZ_ZU_LANG),
    "10,000 column names": (V + b"K" + b";x" * 10_000 + b"\nN;0;\n", C.SPALTEN_ZU_VIELE),
    "one value of all bytes": (_full(b"B"), C.SATZ_ZU_LANG),
    "closing records": (V + K + b"N;\n" * 100_000, C.NACH_SCHLUSSSATZ),
    "good rows, and a wrong one last": (_full(ROW, b"D;x"), C.ZELLENZAHL),
    "good rows, and a wrong check sum": (_full(ROW).replace(b"a1", b"b2", 1), C.PRUEFSUMME),
    "undecodable at its end": (_full(ROW, b"\xff"), C.ZEICHENSATZ),
}


@pytest.fixture(scope="module", autouse=True)
def _all_is_imported() -> None:
    """What the reader imports for large files is not counted."""
    assert read(contracts()["REKU"], _full(ROW), environment="T", file_name=NAME).rows


def _refused(data: bytes, name: str = NAME) -> tuple[FileRefused, int]:
    """The refusal, and the peak in bytes of what was allocated for it."""
    contract = contracts()["REKU"].model_copy(update={"max_bytes": MOST})
    tracemalloc.start()
    try:
        with pytest.raises(FileRefused) as refusal:
            read(contract, data, environment="T", file_name=name)
        return refusal.value, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("data", "code"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_takes_bounded_memory(data: bytes, code: FaultCode) -> None:
    for form, name in ((data, NAME), (gzip.compress(data, 1), f"{NAME}.gz")):
        refusal, peak = _refused(form, name)
        assert refusal.faults[0].code == code
        assert len(refusal.faults) <= 20
        assert peak < TIMES * MOST


@pytest.mark.parametrize("piece", [b"\0", b"\n", b";", ROW], ids=["zeros", "line ends", "delimiters", "rows"])
def test_a_bomb_is_not_unpacked_beyond_the_limit(piece: bytes) -> None:
    """A hundred times of what is allowed, in a thousandth of it."""
    refusal, peak = _refused(gzip.compress(piece * (100 * MOST // len(piece))), f"{NAME}.gz")
    assert [fault.code for fault in refusal.faults] == [C.ZU_GROSS]
    assert peak < 5 * MOST


def test_a_file_beyond_the_limit_is_not_even_looked_at() -> None:
    refusal, peak = _refused(bytes(10 * MOST))
    assert [fault.code for fault in refusal.faults] == [C.ZU_GROSS]
    assert peak < MOST
