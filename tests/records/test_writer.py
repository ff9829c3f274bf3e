"""Writing: whatever is written reads back the same, byte for byte again; what could not be read is not written."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.records import Contract, FaultCode, FileRefused, Head, contracts, read, write
from reku.records.writer import transliterate, write_csv

ENCODINGS = ("utf-8", "iso-8859-15", "cp1252")
HEAD = Head("REKU", "1", "00950001", "R1", "000007", datetime(2026, 11, 22, 1, 15, tzinfo=UTC), "FI", "EMMA", "T")
MANDATORY = contracts()["REKU"].mandatory
COLUMNS = (*MANDATORY, "Vorname", "Nachname", "Firma")


def reku() -> Contract:
    return contracts()["REKU"].model_copy(update={"encodings": ENCODINGS})


def row(**values: str) -> list[str]:
    return [values.get(name, "x") for name in COLUMNS]


def letters(encoding: str) -> st.SearchStrategy[str]:
    """Characters that the encoding has, without control characters."""
    if encoding == "utf-8":
        return st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
    decoded = bytes(range(32, 256)).decode(encoding, errors="ignore")
    return st.sampled_from([letter for letter in decoded if unicodedata.category(letter) != "Cc"])


AWKWARD = st.sampled_from(list(";\"'|= äÖß0"))
CELLS = {encoding: st.text(AWKWARD | letters(encoding), max_size=20) for encoding in ENCODINGS}


moments = st.integers(631_152_000, 4_102_444_800).map(lambda second: datetime.fromtimestamp(second, UTC))


@given(st.data(), st.sampled_from(ENCODINGS), moments)
def test_what_is_written_reads_back_and_is_written_again_byte_for_byte(
    data: st.DataObject, encoding: str, moment: datetime
) -> None:
    rows = data.draw(st.lists(st.lists(CELLS[encoding], min_size=len(COLUMNS), max_size=len(COLUMNS)), max_size=3))
    head = Head("REKU", "1", "00950001", "R1", "000007", moment, "FI", "EMMA", "P")
    written = write(reku(), head, COLUMNS, rows, encoding=encoding)
    file = read(reku(), written, environment="P", encoding=encoding)
    assert file.rows == rows
    assert file.columns == COLUMNS
    # Berlin's doubled hour reads as its first pass
    assert moment - file.head.created_at in (timedelta(0), timedelta(hours=1))
    assert write(reku(), file.head, file.columns, file.rows, encoding=encoding) == written


@given(st.from_regex("0{0,3}[0-9]{1,10}", fullmatch=True))
def test_leading_zeros_stay(number: str) -> None:
    written = write(reku(), HEAD, COLUMNS, [row(Personennummer=number)])
    file = read(reku(), written, environment="T")
    assert next(file.as_dicts())["Personennummer"] == number
    assert (file.head.institute, file.head.delivery_number) == ("00950001", "000007")


def test_lines_end_in_crlf_and_quotes_stand_only_where_needed() -> None:
    written = write(reku(), HEAD, COLUMNS, [row(Firma='Muster; "Söhne"', Nachname="O'Neil & Co")])
    assert written.count(b"\r\n") == written.count(b"\n") == 4
    assert ';"Muster; ""Söhne"""\r\n'.encode() in written
    assert b"O'Neil & Co;" in written


def test_no_rows_make_a_whole_file() -> None:
    assert read(reku(), write(reku(), HEAD, COLUMNS, []), environment="T").rows == []


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("Wałęsa", "cp1252", "Walesa"),
        ("Wałęsa", "iso-8859-15", "Walesa"),
        ("Wałęsa", "utf-8", "Wałęsa"),
        ("Dvořák", "cp1252", "Dvorák"),
        ("Škoda", "iso-8859-15", "Škoda"),
        ("Jördis Weiß", "cp1252", "Jördis Weiß"),
        ("Jo\u0308rdis", "cp1252", "Jördis"),
        ("GROẞ", "iso-8859-15", "GROSS"),
        ("„Muster“ – 5 €", "iso-8859-15", '"Muster" - 5 €'),
        ("„Muster“ – 5 €", "cp1252", "„Muster“ – 5 €"),
        ("İstanbul ığ", "iso-8859-15", "Istanbul ig"),
        ("Nguyễn Đức", "cp1252", "Nguyen Duc"),
        ("ﬁrst", "cp1252", "first"),
    ],
)
def test_names_take_the_closest_letters(text: str, encoding: str, expected: str) -> None:
    """docs/domain.md, rule 23."""
    assert transliterate(text, encoding) == expected


@pytest.mark.parametrize("text", ["Ω", "Иван", "山田", "😀"])
def test_a_letter_without_a_close_one_is_refused(text: str) -> None:
    with pytest.raises(FileRefused) as refusal:
        write(reku(), HEAD, COLUMNS, [row(), row(Nachname=text)], encoding="iso-8859-15")
    assert [(f.code, f.line, f.field) for f in refusal.value.faults] == [(FaultCode.ZEICHENSATZ, 4, "Nachname")]
    assert text not in str(refusal.value)


@pytest.mark.parametrize("field", ["Referenz", "Personennummer", "EMail"])
def test_keys_and_addresses_are_never_changed(field: str) -> None:
    rows = [row(Nachname="Wałęsa"), row(**{field: "ł"})]
    with pytest.raises(FileRefused) as refusal:
        write(reku(), HEAD, COLUMNS, rows, encoding="cp1252")
    assert [(f.code, f.line, f.field) for f in refusal.value.faults] == [(FaultCode.ZEICHENSATZ, 4, field)]
    written = write(reku(), HEAD, COLUMNS, rows[:1], encoding="cp1252")
    assert next(read(reku(), written, environment="T", encoding="cp1252").as_dicts())["Nachname"] == "Walesa"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("a\nb", FaultCode.STEUERZEICHEN),
        ("a\rb", FaultCode.STEUERZEICHEN),
        ("a\x00b", FaultCode.STEUERZEICHEN),
        ("a\tb", FaultCode.STEUERZEICHEN),
        ("a\u2028b", FaultCode.STEUERZEICHEN),
        ("a" * 100_000, FaultCode.SATZ_ZU_LANG),
        ("\ud800", FaultCode.ZEICHENSATZ),
    ],
    ids=["line feed", "carriage return", "NUL", "tab", "line separator", "too long", "half a character"],
)
def test_what_could_not_be_read_is_not_written(value: str, code: FaultCode) -> None:
    with pytest.raises(FileRefused) as refusal:
        write(reku(), HEAD, COLUMNS, [row(Referenz=value)])
    assert [(fault.code, fault.line) for fault in refusal.value.faults] == [(code, 3)]


def test_wrong_shapes_are_not_written() -> None:
    with pytest.raises(FileRefused) as refusal:
        write(reku(), HEAD, COLUMNS, [["x"]])
    assert [(fault.code, fault.line) for fault in refusal.value.faults] == [(FaultCode.ZELLENZAHL, 3)]
    with pytest.raises(FileRefused) as refusal:
        write(reku(), HEAD, COLUMNS[1:], [])
    assert [(fault.code, fault.field) for fault in refusal.value.faults] == [(FaultCode.SPALTE_FEHLT, MANDATORY[0])]
    with pytest.raises(FileRefused) as refusal:
        write(contracts()["IAMW"], HEAD, COLUMNS, [])
    assert [fault.code for fault in refusal.value.faults] == [FaultCode.DATEIART]


def test_rows_are_taken_from_the_database_as_they_are_written() -> None:
    """So that a file of any size takes the same memory."""
    taken: list[int] = []

    def batches() -> Iterator[list[bytes]]:
        for number in range(3):
            taken.append(number)
            yield [b"D" + b";x" * len(COLUMNS) + b"\n"] * 2

    blocks, seen = [], []
    for block in write_csv(reku(), HEAD, COLUMNS, batches()):
        blocks.append(block)
        seen.append(len(taken))
    assert seen == [0, 1, 2, 3, 3]
    assert b"".join(blocks) == write(reku(), HEAD, COLUMNS, [row()] * 6)


def test_a_partner_s_own_codes_stand_in_the_file_and_ours_in_the_house() -> None:
    contract = contracts()["RESPONSE"]
    columns = tuple(
        column.model_copy(update={"codes": {"OEFF": "01", "KLIC": "02"}}) if column.name == "Ereignis_Art" else column
        for column in contract.columns
    )
    mapped = contract.model_copy(update={"columns": columns})
    head = Head("RESPONSE", "1", "99950001", "", "000001", HEAD.created_at, "EMMA", "FI", "T")
    names = [column.name for column in columns if column.obligation == "M"]
    rows = [[kind if name == "Ereignis_Art" else "x" for name in names] for kind in ("OEFF", "VERS", "KLIC")]
    written = write(mapped, head, names, rows)
    assert [line.split(";")[2] for line in written.decode().splitlines()[2:-1]] == ["01", "VERS", "02"]
    assert read(mapped, written, environment="T").rows == rows
    assert rows[0][1] == "OEFF"  # the caller's rows stay as they were
