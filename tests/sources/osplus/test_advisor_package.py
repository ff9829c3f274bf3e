"""Packages of advisors' pictures: what is taken, what is passed over, what is refused as a whole, and its cure."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from struct import pack

import pytest

from reku.foundation.settings import INCLUDE
from reku.records import FaultCode, FileRefused, Head, load_contracts, write
from reku.sources.osplus.advisor_package import INDEX, AdvisorPackage, read_package
from tests.sources.conftest import BLZ, ORDER, Bank

CONTRACT = load_contracts(INCLUDE / "contracts")["BERATER"]
NAME = f"reku_{BLZ}_{ORDER}_000017_20261122021500_berater.zip"
COLUMNS = ("Berater_Nr", "Datei", "Art", "Breite_px", "Zustimmung", "SHA256")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def png(width: int = 145, height: int = 145, more: int = 0) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + pack(">I4sII", 13, b"IHDR", width, height) + bytes(more) + b"\0\0\0\0IEND\xaeB`\x82"


def entry(name: str = "B0042_bild.png", **changes: str) -> dict[str, str]:
    whole = dict(zip(COLUMNS, ("B0042", name, "BILD", "145", "J", ""), strict=True))
    return whole | changes


def index(*entries: dict[str, str]) -> bytes:
    head = Head("BERATER", "1", BLZ, ORDER, "000017", datetime(2026, 11, 22, 1, 15, tzinfo=UTC), "FI", "EMMA", "T")
    return write(CONTRACT, head, list(COLUMNS), [list(one.values()) for one in entries])


def packed(files: dict[str, bytes], listed: bytes | None = None, how: int = zipfile.ZIP_DEFLATED) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", how) as archive:
        for name, content in (({INDEX: listed} if listed else {}) | files).items():
            archive.writestr(name, content)
    return written.getvalue()


def read(data: bytes) -> AdvisorPackage:
    return read_package(CONTRACT, data, NAME, "T")


def test_pictures_of_advisors_who_agreed() -> None:
    entries = (entry(), entry("B0042_name.png", Art="UNTERSCHRIFT", Breite_px="200"), entry("nein.png", Zustimmung="N"))
    files = {"B0042_bild.png": png(), "B0042_name.png": png(200, 60), "nein.png": png()}
    package = read(packed(files, index(*entries)))
    assert [(one.advisor, one.kind, one.content) for one in package.pictures] == [
        ("B0042", "BILD", png()),
        ("B0042", "UNTERSCHRIFT", png(200, 60)),
    ]
    assert [(fault.line, fault.field) for fault in package.passed_over] == [(5, "Zustimmung")]


@pytest.mark.parametrize(
    ("content", "changes", "code", "field"),
    [
        (None, {}, FaultCode.WERT, "Datei"),
        (SVG, {}, FaultCode.FORMAT, "Datei"),
        (b"GIF89a" + bytes(20), {}, FaultCode.FORMAT, "Datei"),
        (png()[:-4], {}, FaultCode.FORMAT, "Datei"),
        (png(146), {}, FaultCode.WERT, "Breite_px"),
        (png(145, 4000), {}, FaultCode.WERT, "Breite_px"),
        (png(201, 20), {"Art": "UNTERSCHRIFT"}, FaultCode.WERT, "Breite_px"),
        (png(more=80_000), {}, FaultCode.ZU_GROSS, "Datei"),
        (png(), {"Art": "LOGO"}, FaultCode.WERT, "Art"),
        (png(), {"SHA256": "0" * 64}, FaultCode.PRUEFSUMME, "SHA256"),
    ],
)
def test_one_that_cannot_be_shown_is_passed_over_with_its_cure(
    content: bytes | None, changes: dict[str, str], code: FaultCode, field: str
) -> None:
    good = entry("gut.png", Berater_Nr="B0001")
    files = {"gut.png": png()} | ({"B0042_bild.png": content} if content is not None else {})
    package = read(packed(files, index(entry(**changes), good)))
    assert [one.advisor for one in package.pictures] == ["B0001"]
    (fault,) = package.passed_over
    assert (fault.code, fault.field, fault.line) == (code, field, 3)
    assert fault.advice.endswith("speichern.") or "packen" in fault.advice or "angeben" in fault.advice


def _link() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        link = zipfile.ZipInfo("bild.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return written.getvalue()


def _lying(size: int) -> bytes:
    """A package that says of its one file that it is smaller than it is."""
    data = bytearray(packed({"bild.png": bytes(400_000)}))
    for place in (data.find(b"PK\x03\x04") + 22, data.find(b"PK\x01\x02") + 24):
        data[place : place + 4] = size.to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: b"no zip at all", FaultCode.ARCHIV),
        (lambda: packed({"bild.png": png()}, index(entry()))[:-30], FaultCode.ARCHIV),
        (lambda: packed({"bild.png": png()}), FaultCode.SPALTENSATZ_FEHLT),
        (lambda: packed({"../bild.png": png()}, index(entry())), FaultCode.ARCHIV),
        (lambda: packed({"/etc/bild.png": png()}, index(entry())), FaultCode.ARCHIV),
        (lambda: packed({"c:\\bild.png": png()}, index(entry())), FaultCode.ARCHIV),
        (lambda: packed({"ordner/": b""}, index(entry())), FaultCode.ARCHIV),
        (_link, FaultCode.ARCHIV),
        (lambda: packed({"mehr.png": packed({"x": b"y"})}, index(entry())), FaultCode.ARCHIV),
        (lambda: packed({"bombe.png": bytes(60_000_000)}, index(entry())), FaultCode.ZU_GROSS),
        (lambda: packed({"dicht.png": bytes(4_000_000)}, index(entry())), FaultCode.ZU_GROSS),
        (lambda: _lying(10), FaultCode.ARCHIV),
        (lambda: packed({f"{number}.png": b"" for number in range(2_001)}), FaultCode.ARCHIV),
        (lambda: bytes(20_000_001), FaultCode.ZU_GROSS),
        (lambda: packed({"a.png": png()}, index(entry()).replace(b"BERATER;1;", b"REKU;1;")), FaultCode.DATEIART),
        (lambda: packed({"a.png": png()}, index(entry()).replace(ORDER.encode(), b"R9")), FaultCode.WIDERSPRUCH),
    ],
)
def test_a_package_that_is_refused(make: Callable[[], bytes], code: FaultCode) -> None:
    with pytest.raises(FileRefused) as refused:
        read(make())
    assert refused.value.faults[0].code == code
    assert refused.value.faults[0].advice


def test_intake_takes_it_and_is_not_red(bank: Bank) -> None:
    bank.put(NAME, packed({"B0042_bild.png": png(), "weit.png": png(300)}, index(entry(), entry("weit.png"))))
    report = bank.scan()
    assert [(one.kind, one.verdict) for one in report.outcomes] == [("BERATER", "PROCESSED")]
    bad = NAME.replace("000017", "000018")
    bank.put(bad, _link())
    second = bank.scan()
    (refused,) = second.outcomes
    assert (refused.verdict, refused.code) == ("REFUSED", "ARCHIV")
    assert (report.problems, second.problems) == ((), ())  # nothing waits for pictures
    receipts = [file.read_text(encoding="utf-8") for file in sorted((bank.root / BLZ / "ausgang").glob("quittung_*"))]
    assert ["OK_MIT_WARNUNG" in receipts[0], "ABGELEHNT" in receipts[1]] == [True, True]
