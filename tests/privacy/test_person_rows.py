"""The rows of a person are found and taken out of every file, exactly, whatever its encoding, frame or faults."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.privacy.person_rows import Unreadable, find, unpack, without
from reku.records import Head, contracts, read, write
from reku_testing import world

HEAD = Head("REKU", "1", world.BLZ, world.ORDER, "000017", world.CREATED, "FI", "EMMA", "T")
NUMBER = f"{2:010d}"
COLUMNS = b"V;REKU\nK;Referenz;Personennummer\n"
NAME = f"reku_{world.BLZ}_{world.ORDER}_000017_20261122021500.csv"


def _file(people: list[dict[str, str]], encoding: str | None = None) -> bytes:
    rows = [list(one.values()) for one in people]
    return write(contracts()["REKU"], HEAD, world.REKU_COLUMNS, rows, encoding=encoding)


def _cut(data: bytes, number: str = NUMBER) -> bytes:
    text = unpack(data)
    return without(text, find(text, number))


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-15"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_rest_of_a_file_is_a_sound_file(reku_settings: Path, encoding: str, packed: bool, mark: bytes) -> None:
    if mark and encoding != "utf-8":
        pytest.skip("a byte order mark is of UTF-8")
    people = [world.reku_fields(n, Nachname='Ünal; "Ü"', Produkt_Text=NUMBER) for n in (1, 2, 3, 2)]
    for at, one in enumerate(people):
        one["Referenz"] = f"X-{at}"
    data = mark + _file(people, encoding)
    left = _cut(gzip.compress(data) if packed else data)
    name = NAME + ".gz" if packed else NAME
    file = read(contracts()["REKU"], left, environment="T", file_name=name, encoding=encoding)
    assert [row["Referenz"] for row in file.as_dicts()] == ["X-0", "X-2"]
    assert {row["Nachname"] for row in file.as_dicts()} == {'Ünal; "Ü"'}, "a product text is no person number"


def test_what_was_found_reads_as_it_was_meant(reku_settings: Path) -> None:
    for encoding in ("utf-8", "iso-8859-15"):
        (row,) = find(unpack(_file([world.reku_fields(n) for n in (1, 2)], encoding)), NUMBER)
        assert (row.first, row.last, row.cells["Nachname"], row.cells["Vorname"]) == (4, 4, "Beispiel-Müßig", "Jördis")


@given(st.lists(st.sampled_from(["0000000002", "000000002", "00000000020", "2", "X", "0002-Ä"]), max_size=8), st.data())
def test_exactly_the_rows_with_the_number_go(numbers: list[str], data: st.DataObject) -> None:
    people = [
        world.reku_fields(at, Personennummer=number, Nachname=data.draw(st.sampled_from(["A", 'A"B', "A;B", NUMBER])))
        for at, number in enumerate(numbers, 1)
    ]
    wanted = data.draw(st.sampled_from([*numbers, NUMBER]))
    file = read(contracts()["REKU"], _cut(_file(people), wanted), environment="T")
    assert [row["Personennummer"] for row in file.as_dicts()] == [number for number in numbers if number != wanted]


def test_of_a_faulty_file_the_fault_stays(reku_settings: Path) -> None:
    """Nothing may become acceptable by an erasure."""
    data = _file([world.reku_fields(n) for n in (1, 2, 3)])
    changed = data.replace(b"person3@", b"person9@")
    left = _cut(changed)
    assert NUMBER.encode() not in left
    assert left.splitlines()[-1] == data.splitlines()[-1], "count and check sum were wrong and stay so"


@pytest.mark.parametrize(
    ("data", "left"),
    [
        (b"whatever\nname;0000000002;x\n00000000021\n", b"whatever\n00000000021\n"),
        (COLUMNS + b"D;A;0000000002\nD;B;1;0000000002\nD;C;3\n", COLUMNS + b"D;C;3\n"),
        (COLUMNS + b'D;"two\nlines";0000000002\nD;C;3\n', COLUMNS + b"D;C;3\n"),
        (COLUMNS + b'D;"open;0000000002\nD;C;3\n', COLUMNS + b"D;C;3\n"),
        (b"Personennummer|Nachname\n0000000002|A\n3|0000000002\n", b"Personennummer|Nachname\n3|0000000002\n"),
        (b"K;Personennummer\n\x00\xff0000000002\xff\nD;0000000002\n", b"K;Personennummer\n"),
        (b"", b""),
    ],
    ids=["no frame", "shifted cells", "a line break", "an open quote", "a header only", "not text", "empty"],
)  # fmt: skip
def test_broken_and_unknown_files(reku_settings: Path, data: bytes, left: bytes) -> None:
    assert _cut(data) == left


def test_a_broken_archive_cannot_be_looked_into(reku_settings: Path) -> None:
    with pytest.raises(Unreadable):
        unpack(gzip.compress(b"0000000002" * 1000)[:20])


def test_receipts_have_references_only(reku_settings: Path) -> None:
    text = unpack(b"V;QUITTUNG\nK;Ebene;Referenz\nD;DATEI;\nD;SATZ;R-1\nD;SATZ;R-12\nN;3;x\n")
    assert [row.cells["Referenz"] for row in find(text, NUMBER, {"R-1", ""})] == ["R-1"]
    assert find(text, NUMBER) == []
