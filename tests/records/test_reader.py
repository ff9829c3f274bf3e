"""Reading: the published examples, a table of broken files with the exact fault, and a fuzz of the whole reader."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reku.foundation.errors import RekuError
from reku.records import Contract, FaultCode, FileRefused, Head, RecordFile, contracts, match_name, read, write

EXAMPLES = Path(__file__).parent / "examples"
NAME = "reku_99950001_R0004711_000017_20261122021500.csv"
REKU = (EXAMPLES / NAME).read_bytes()


def reku() -> Contract:
    return contracts()["REKU"]


def sealed(body: bytes, rows: int | None = None) -> bytes:
    """The body (V line to last D line) with a closing record that fits it."""
    count = len(re.findall(rb'(?m)^"?D"?;', body)) if rows is None else rows
    return body + b"N;%d;%s\r\n" % (count, hashlib.sha256(body).hexdigest().encode())


def body_of(data: bytes = REKU) -> bytes:
    return data[: data.rindex(b"N;")]


def changed(old: bytes, new: bytes) -> bytes:
    """The example with one change made before it was sealed: only that change is wrong."""
    body = body_of()
    assert old in body
    return sealed(body.replace(old, new, 1))


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_every_example_reads_and_is_written_back_byte_for_byte(path: Path) -> None:
    data = path.read_bytes()
    known = match_name(path.name)
    assert known is not None
    file = read(known[0], data, environment="T", file_name=path.name)
    assert file.rows
    assert not file.warnings
    assert write(known[0], file.head, file.columns, file.rows) == data


def test_every_contract_has_its_example() -> None:
    matches = [match_name(path.name) for path in EXAMPLES.iterdir()]
    assert sorted(match[0].kind for match in matches if match) == sorted(
        kind
        for kind, contract in contracts().items()
        if contract.file_name is not None and contract.frame != "bare"  # written only: nobody could tell its columns
    )


def test_the_head_and_the_values_stay_text_with_their_leading_zeros() -> None:
    file = read(reku(), REKU, environment="T", file_name=NAME)
    assert file.head == Head(
        kind="REKU",
        version="1",
        institute="99950001",
        order_number="R0004711",
        delivery_number="000017",
        created_at=datetime(2026, 11, 22, 1, 15, tzinfo=UTC),
        sender="FI",
        receiver="EMMA",
        environment="T",
    )
    first, second = file.as_dicts()
    assert first["Personennummer"] == "0001234567"
    assert first["Vorname"] == "Jördis"
    assert second["Tracking_Einwilligung"] == "N"  # the contract's default for an empty value
    assert list(file.lines) == [3, 4]


def _without_zero_rows() -> bytes:
    return sealed(b"".join(line + b"\r\n" for line in REKU.split(b"\r\n")[:2]))


GOOD: dict[str, tuple[Callable[[], bytes], int]] = {
    "LF line ends": (lambda: sealed(body_of().replace(b"\r\n", b"\n")), 2),
    "mixed line ends": (lambda: sealed(body_of().replace(b"\r\n", b"\n", 1)), 2),
    "byte order mark": (lambda: b"\xef\xbb\xbf" + REKU, 2),
    "no line end after N": (lambda: REKU.rstrip(b"\r\n"), 2),
    "no rows": (_without_zero_rows, 0),
    "all cells quoted": (lambda: changed(b"D;R0004711-000017-00002;", b'"D";"R0004711-000017-00002";'), 2),
    "delivery number without zeros": (lambda: changed(b";000017;", b";17;"), 2),
}


@pytest.mark.parametrize(("data", "rows"), GOOD.values(), ids=GOOD)
def test_tolerated_forms_are_read(data: Callable[[], bytes], rows: int) -> None:
    assert len(read(reku(), data(), environment="T", file_name=NAME).rows) == rows


def test_an_empty_value_is_the_same_quoted_or_not() -> None:
    file = read(reku(), changed(b";50;2;Dr.;", b';50;2;"";'), environment="T")
    assert next(file.as_dicts())["Titel"] == ""


def test_order_of_columns_is_free_and_unknown_ones_only_warn() -> None:
    body = (
        b"V;REKU;1;99950001;R1;000001;22.11.2026 02:15:00;FI;EMMA;T\r\n"
        b"K;EMail;Schuhgroesse;Einwilligung_EMail;Anrede;Nachname;Anlass_Datum;Anlass_Code;Personennummer;Referenz\r\n"
        b"D;a@b.example;43;J;1;Muster;24.11.2026;MCAG002;007;R1-1\r\n"
    )
    file = read(reku(), sealed(body), environment="T")
    assert [(warning.code, warning.line, warning.field) for warning in file.warnings] == [
        (FaultCode.SPALTE_UNBEKANNT, 2, "Schuhgroesse")
    ]
    row = next(file.as_dicts())
    assert list(row) == [column.name for column in reku().columns]  # and so without the unknown one
    assert (row["Referenz"], row["Personennummer"], row["Firma"]) == ("R1-1", "007", "")


def test_a_packed_file_is_read_by_its_name() -> None:
    assert (
        read(reku(), gzip.compress(REKU), environment="T", file_name=NAME + ".gz").rows
        == read(reku(), REKU, environment="T").rows
    )


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-15", "cp1252"])
def test_umlauts_are_read_in_the_agreed_encoding_and_in_no_other(encoding: str) -> None:
    """docs/domain.md, rule 23."""
    contract = reku().model_copy(update={"encodings": ("utf-8", "iso-8859-15", "cp1252")})
    data = sealed(body_of().decode().replace("Jördis", "Jördis Weiß €").encode(encoding))
    file = read(contract, data, environment="T", encoding=encoding)
    assert file.rows[0][7] == "Jördis Weiß €"
    if encoding != "utf-8":
        with pytest.raises(FileRefused):
            read(contract, data, environment="T")


def test_an_encoding_that_nobody_agreed_on_is_an_error_with_a_cure() -> None:
    with pytest.raises(RekuError, match="only utf-8, iso-8859-15"):
        read(reku(), REKU, environment="T", encoding="cp1252")


Expected = list[tuple[FaultCode, int | None, str]]

C = FaultCode
BROKEN: dict[str, tuple[Callable[[], bytes], Expected]] = {
    "empty": (lambda: b"", [(C.LEER, None, "")]),
    "only blank lines": (lambda: b"\r\n\r\n", [(C.LEER, None, "")]),
    "only a byte order mark": (lambda: b"\xef\xbb\xbf", [(C.LEER, None, "")]),
    "iso byte in utf-8": (lambda: changed("Jördis".encode(), b"J\xf6rdis"), [(C.ZEICHENSATZ, 3, "")]),
    "cut in the middle of a character": (lambda: REKU[: REKU.index(b"\xc3") + 1], [(C.ZEICHENSATZ, 3, "")]),
    "utf-16": (lambda: REKU.decode().encode("utf-16"), [(C.ZEICHENSATZ, 1, "")]),
    "NUL": (lambda: changed(b"Bernd", b"Be\x00nd"), [(C.STEUERZEICHEN, 4, "")]),
    "tab": (lambda: changed(b"Bernd", b"Be\tnd"), [(C.STEUERZEICHEN, 4, "")]),
    "C1 control": (lambda: changed(b"Bernd", b"Be\xc2\x85nd"), [(C.STEUERZEICHEN, 4, "")]),
    "line separator": (lambda: changed(b"Bernd", "Be\u2028nd".encode()), [(C.STEUERZEICHEN, 4, "")]),
    "lone CR in a value": (lambda: changed(b"Bernd", b"Be\rnd"), [(C.ZEILENENDE, 4, "")]),
    "CR line ends": (lambda: REKU.replace(b"\r\n", b"\r"), [(C.ZEILENENDE, 1, "")]),
    "CR before CRLF": (lambda: changed(b";T\r\n", b";T\r\r\n"), [(C.ZEILENENDE, 1, "")]),
    "line break in a quoted value": (lambda: changed(b"Bernd", b'"Be\r\nnd"'), [(C.ZEILENUMBRUCH, 4, "")]),
    "quote never closed": (lambda: changed(b"Bernd", b'"Bernd'), [(C.ANFUEHRUNGSZEICHEN, 4, "")]),
    "text after a closing quote": (lambda: changed(b"Bernd", b'"Bernd"x'), [(C.ANFUEHRUNGSZEICHEN, 4, "")]),
    "1 MB in one value": (lambda: changed(b"Bernd", b"B" * 1_000_000), [(C.SATZ_ZU_LANG, 4, "")]),
    "no V": (lambda: sealed(body_of().partition(b"\r\n")[2]), [(C.KOPFSATZ_FEHLT, 1, "")]),
    "blank first line": (lambda: sealed(b"\r\n" + body_of()), [(C.KOPFSATZ_FEHLT, 1, "")]),
    "V one cell short": (lambda: changed(b";EMMA;T", b";EMMA"), [(C.KOPFSATZ_FEHLT, 1, "")]),
    "V one cell more": (lambda: changed(b";EMMA;T", b";EMMA;T;"), [(C.KOPFSATZ_FEHLT, 1, "")]),
    "only N": (lambda: sealed(b""), [(C.KOPFSATZ_FEHLT, 1, "")]),
    "another delimiter": (lambda: body_of().replace(b";", b",") + b"N;2;0", [(C.KOPFSATZ_FEHLT, 1, "")]),
    "other kind": (lambda: changed(b"V;REKU;", b"V;IAMW;"), [(C.DATEIART, 1, "Dateiart")]),
    "unknown kind": (lambda: changed(b"V;REKU;", b"V;XYZ;"), [(C.DATEIART, 1, "Dateiart")]),
    "version 2": (lambda: changed(b"V;REKU;1;", b"V;REKU;2;"), [(C.VERSION, 1, "Version")]),
    "BLZ not as in the name": (lambda: changed(b"99950001", b"99950002"), [(C.WIDERSPRUCH, 1, "BLZ")]),
    "order not as in the name": (lambda: changed(b";R0004711;", b";R0004712;"), [(C.WIDERSPRUCH, 1, "Auftrags_Nr")]),
    "number not as in the name": (lambda: changed(b";000017;", b";000018;"), [(C.WIDERSPRUCH, 1, "Lieferungs_Nr")]),
    "BLZ of seven digits": (
        lambda: changed(b"99950001", b"9995001"),
        [(C.FORMAT, 1, "BLZ"), (C.WIDERSPRUCH, 1, "BLZ")],
    ),
    "number of letters": (
        lambda: changed(b";000017;", b";siebzehn;"),
        [(C.FORMAT, 1, "Lieferungs_Nr"), (C.WIDERSPRUCH, 1, "Lieferungs_Nr")],
    ),
    "number of Arabic-Indic digits": (
        lambda: changed(b";000017;", ";٠٠٠٠١٧;".encode()),
        [(C.FORMAT, 1, "Lieferungs_Nr"), (C.WIDERSPRUCH, 1, "Lieferungs_Nr")],
    ),
    "no such day": (lambda: changed(b"22.11.2026 02", b"31.11.2026 02"), [(C.FORMAT, 1, "Erstellt_am")]),
    "moment in ISO form": (
        lambda: changed(b"22.11.2026 02:15:00", b"2026-11-22T02:15:00"),
        [(C.FORMAT, 1, "Erstellt_am")],
    ),
    "production file in test": (lambda: changed(b";EMMA;T\r", b";EMMA;P\r"), [(C.UMGEBUNG, 1, "Umgebung")]),
    "environment X": (lambda: changed(b";EMMA;T\r", b";EMMA;X\r"), [(C.FORMAT, 1, "Umgebung")]),
    "three faults in the head": (
        lambda: changed(b"99950001;R0004711;000017", b"99950002;R0004712;000018"),
        [(C.WIDERSPRUCH, 1, "BLZ"), (C.WIDERSPRUCH, 1, "Auftrags_Nr"), (C.WIDERSPRUCH, 1, "Lieferungs_Nr")],
    ),
    "no K": (lambda: changed(b"K;", b"D;"), [(C.SPALTENSATZ_FEHLT, 2, "")]),
    "nothing but V and N": (lambda: sealed(REKU.partition(b"K;")[0]), [(C.SPALTENSATZ_FEHLT, 2, "")]),
    "mandatory column missing": (lambda: changed(b";EMail;", b";E_Mail;"), [(C.SPALTE_FEHLT, 2, "EMail")]),
    "two mandatory columns missing": (
        lambda: changed(b"K;Referenz;Personennummer;", b"K;a;b;"),
        [(C.SPALTE_FEHLT, 2, "Referenz"), (C.SPALTE_FEHLT, 2, "Personennummer")],
    ),
    "column twice": (lambda: changed(b";Titel;", b";Vorname;"), [(C.SPALTE_DOPPELT, 2, "Vorname")]),
    "column without a name": (lambda: changed(b";Titel;", b";;"), [(C.SPALTE_DOPPELT, 2, "")]),
    "10,000 columns": (lambda: changed(b";Titel;", b";Titel;" + b"x;" * 10_000), [(C.SPALTEN_ZU_VIELE, 2, "")]),
    "K twice": (lambda: changed(b"D;", b"K;a\r\nD;"), [(C.SATZART, 3, "")]),
    "V twice": (lambda: changed(b"D;", b"V;a\r\nD;"), [(C.SATZART, 3, "")]),
    "blank line between rows": (lambda: changed(b"\r\nD;", b"\r\n\r\nD;"), [(C.SATZART, 3, "")]),
    "unknown record": (lambda: changed(b"\r\nD;", b"\r\nX;"), [(C.SATZART, 3, "")]),
    "blank before the record": (lambda: changed(b"\r\nD;", b"\r\n D;"), [(C.SATZART, 3, "")]),
    "one cell too few": (lambda: changed(b"Bernd;", b""), [(C.ZELLENZAHL, 4, "")]),
    "one cell too many": (lambda: changed(b"Bernd;", b"Bernd;;"), [(C.ZELLENZAHL, 4, "")]),
    "two rows of wrong width": (
        lambda: changed(b"Dr.;", b"").replace(b"Bernd;", b""),
        [(C.ZELLENZAHL, 3, ""), (C.ZELLENZAHL, 4, "")],
    ),
    "no N": (lambda: body_of(), [(C.SCHLUSSSATZ_FEHLT, 4, "")]),
    "cut in the middle of a row": (lambda: REKU[: REKU.index(b"Bernd")], [(C.SCHLUSSSATZ_FEHLT, 4, "")]),
    "cut after the N": (lambda: body_of() + b"N", [(C.SCHLUSSSATZ_FEHLT, 5, "")]),
    "cut before the check sum": (lambda: body_of() + b"N;2", [(C.SCHLUSSSATZ_FEHLT, 5, "")]),
    "cut in the check sum": (lambda: REKU[:-20], [(C.PRUEFSUMME, 5, "Pruefsumme")]),
    "check sum in upper case": (
        lambda: body_of() + REKU[len(body_of()) :].upper(),
        [(C.PRUEFSUMME, 5, "Pruefsumme")],
    ),
    "one character changed": (lambda: REKU.replace(b"Bernd", b"Gernd"), [(C.PRUEFSUMME, 5, "Pruefsumme")]),
    "line ends changed on the way": (lambda: REKU.replace(b"\r\n", b"\n"), [(C.PRUEFSUMME, 5, "Pruefsumme")]),
    "count too high": (lambda: sealed(body_of(), rows=3), [(C.ANZAHL, 5, "Anzahl_D")]),
    "count negative": (lambda: sealed(body_of(), rows=-2), [(C.ANZAHL, 5, "Anzahl_D")]),
    "a row lost": (
        lambda: b"".join(REKU.splitlines(keepends=True)[:3] + REKU.splitlines(keepends=True)[4:]),
        [(C.ANZAHL, 4, "Anzahl_D"), (C.PRUEFSUMME, 4, "Pruefsumme")],
    ),
    "blank line after N": (lambda: REKU + b"\r\n", [(C.NACH_SCHLUSSSATZ, 6, "")]),
    "a row after N": (lambda: REKU + b"D;x\r\n", [(C.NACH_SCHLUSSSATZ, 6, "")]),
    "end-of-file mark after N": (lambda: REKU + b"\x1a", [(C.NACH_SCHLUSSSATZ, 6, "")]),
    "two files in one": (lambda: REKU + REKU, [(C.NACH_SCHLUSSSATZ, 6, "")]),
    "N twice": (lambda: REKU + b"N;2;x\r\n", [(C.NACH_SCHLUSSSATZ, 6, "")]),
}


@pytest.mark.parametrize(("data", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_with_its_exact_faults(data: Callable[[], bytes], expected: Expected) -> None:
    with pytest.raises(FileRefused) as refusal:
        read(reku(), data(), environment="T", file_name=NAME)
    assert [(fault.code, fault.line, fault.field) for fault in refusal.value.faults] == expected
    assert all(fault.advice and len(fault.advice) <= 200 for fault in refusal.value.faults)
    for personal in ("Bernd", "Testmann", "Beispiel", "@", "0001234567"):
        assert personal not in str(refusal.value)


def test_the_table_meets_every_code_of_the_reader() -> None:
    """A code that no file can cause would be a rule nobody keeps."""
    folder = Path(__file__).resolve().parents[2] / "include/reku/records"
    source = "".join((folder / name).read_text(encoding="utf-8") for name in ("reader.py", "parsing.py"))
    used = {code for code in FaultCode if f"FaultCode.{code.name}" in source}
    elsewhere = {C.ZU_GROSS, C.ARCHIV, C.DATEINAME, C.SPALTE_UNBEKANNT, C.UNGESICHERT}  # tests of their own
    assert {code for _, faults in BROKEN.values() for code, _, _ in faults} == used - elsewhere


def test_an_undecodable_byte_is_named_with_its_place_in_the_file() -> None:
    data = b"\xef\xbb\xbf" + changed("Jördis".encode(), b"J\xf6rdis")
    with pytest.raises(FileRefused) as refusal:
        read(reku(), data, environment="T")
    assert f"Byte 0xF6 an Stelle {data.index(0xF6)} " in refusal.value.faults[0].advice


def test_a_control_character_of_another_code_page_is_not_taken_for_a_letter() -> None:
    """0x80 is the euro sign in cp1252 and a control character in iso-8859-15."""
    with pytest.raises(FileRefused) as refusal:
        read(reku(), changed("Jördis".encode(), b"J\x80rdis"), environment="T", encoding="iso-8859-15")
    assert refusal.value.faults[0].code == FaultCode.STEUERZEICHEN


def test_a_test_file_is_refused_in_production() -> None:
    with pytest.raises(FileRefused) as refusal:
        read(reku(), REKU, environment="P", file_name=NAME)
    assert [fault.code for fault in refusal.value.faults] == [FaultCode.UMGEBUNG]


def test_a_nearly_right_column_name_is_suggested() -> None:
    with pytest.raises(FileRefused) as refusal:
        read(reku(), changed(b";EMail;", b";E_Mail;"), environment="T")
    assert "Ist E_Mail gemeint?" in refusal.value.faults[0].advice


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", FaultCode.LEER),
        (REKU, FaultCode.ARCHIV),
        (gzip.compress(REKU)[:-9], FaultCode.ARCHIV),
        (gzip.compress(REKU)[:40], FaultCode.ARCHIV),
        (gzip.compress(REKU) + b"rest", FaultCode.ARCHIV),
        (gzip.compress(b""), FaultCode.LEER),
        (gzip.compress(bytes(50_000)), FaultCode.ZU_GROSS),
    ],
    ids=["nothing", "not packed", "check sum cut off", "cut off", "something behind", "packed nothing", "bomb"],
)
def test_a_broken_archive_is_refused(data: bytes, code: FaultCode) -> None:
    contract = reku().model_copy(update={"max_bytes": 40_000})
    with pytest.raises(FileRefused) as refusal:
        read(contract, data, environment="T", file_name=NAME + ".gz")
    assert [fault.code for fault in refusal.value.faults] == [code]


def test_an_archive_that_is_far_larger_than_it_looks_is_refused() -> None:
    """As many bytes as the contract allows, and a thousand times its own."""
    with pytest.raises(FileRefused) as refusal:
        read(reku(), gzip.compress(REKU + bytes(10_000_000)), environment="T", file_name=NAME + ".gz")
    (fault,) = refusal.value.faults
    assert (fault.code, "ungepackt" in fault.advice) == (FaultCode.ZU_GROSS, True)


def test_an_unpacked_file_has_the_same_limit() -> None:
    contract = reku().model_copy(update={"max_bytes": len(REKU)})
    assert read(contract, REKU, environment="T").rows
    with pytest.raises(FileRefused) as refusal:
        read(contract.model_copy(update={"max_bytes": len(REKU) - 1}), REKU, environment="T")
    assert [fault.code for fault in refusal.value.faults] == [FaultCode.ZU_GROSS]


def test_a_name_of_another_kind_is_refused() -> None:
    with pytest.raises(FileRefused) as refusal:
        read(reku(), REKU, environment="T", file_name="iamw_99950001_I1_000001_20261122021500.csv")
    assert [fault.code for fault in refusal.value.faults] == [FaultCode.DATEINAME]


def test_more_faults_than_anybody_reads_are_cut_short() -> None:
    with pytest.raises(FileRefused) as refusal:
        read(reku(), sealed(body_of() + b"D;x\r\n" * 1000), environment="T")
    assert len(refusal.value.faults) == 20


def plain() -> Contract:
    return reku().model_copy(update={"frame": "plain"})


def test_a_plain_file_takes_its_head_from_its_name_and_says_that_it_is_unsecured() -> None:
    lines = REKU.splitlines(keepends=True)[1:4]
    file = read(plain(), b"".join(line[2:] for line in lines), environment="T", file_name=NAME)
    secured = read(reku(), REKU, environment="T")
    assert (file.rows, file.columns, list(file.lines)) == (secured.rows, secured.columns, [2, 3])
    assert (file.head.institute, file.head.order_number, file.head.created_at) == (
        "99950001",
        "R0004711",
        secured.head.created_at,
    )
    assert [warning.code for warning in file.warnings] == [FaultCode.UNGESICHERT]


def test_a_plain_file_with_a_row_of_wrong_width_is_refused() -> None:
    lines = REKU.splitlines(keepends=True)
    with pytest.raises(FileRefused) as refusal:
        read(plain(), lines[1][2:] + b"a;b\r\n", environment="T", file_name=NAME)
    assert [(fault.code, fault.line) for fault in refusal.value.faults] == [(FaultCode.ZELLENZAHL, 2)]


def test_a_plain_file_needs_its_name() -> None:
    with pytest.raises(FileRefused) as refusal:
        read(plain(), REKU.splitlines(keepends=True)[1][2:], environment="T")
    assert [fault.code for fault in refusal.value.faults] == [FaultCode.DATEINAME]


PIECES = st.sampled_from(
    [
        b"V;REKU;1;99950001;R1;1;22.11.2026 02:15:00;FI;EMMA;T",
        b"V;",
        b"K;Referenz",
        b"K;",
        b"D;x",
        b"D;",
        b"N;1;x",
        b"N;",
        b"\r\n",
        b"\n",
        b"\r",
        b";",
        b'"',
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xc2\x85",
    ]
)


@given(st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=20).map(b"".join)), st.booleans(), st.booleans())
@example(b"N;;", False, False)
@example(b'"N"', False, False)
def test_whatever_the_bytes_the_reader_answers_with_a_refusal(data: bytes, packed: bool, framed: bool) -> None:
    contract = reku() if framed else plain()
    name = NAME + ".gz" if packed else NAME
    with pytest.raises(FileRefused):
        read(contract, data, environment="T", file_name=name)


@given(st.integers(0, len(REKU) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_a_damaged_file_is_never_taken_for_a_whole_one(place: int, inserted: bytes, removed: int) -> None:
    data = REKU[:place] + inserted + REKU[place + removed :]
    try:
        file: RecordFile | None = read(reku(), data, environment="T", file_name=NAME)
    except FileRefused:
        file = None
    if file is not None:  # a byte order mark before V or another line end after N, and nothing else, is no loss
        assert data.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n") == REKU.rstrip(b"\r\n")


def test_the_name_of_an_unknown_column_is_cut_to_what_a_receipt_holds() -> None:
    file = read(reku(), changed(b";Berater_Unterschrift", b";" + b"x" * 500), environment="T")
    assert [warning.field for warning in file.warnings] == ["x" * 60]
