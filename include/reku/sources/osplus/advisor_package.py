"""A package of advisors' pictures: a ZIP of somebody else's, looked at before anything of it is unpacked.

The layout: docs/file-contracts.md, BERATER; the rules: docs/domain.md, "Advisor and sender".
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reku.foundation.picture_sides import sides
from reku.foundation.unpacking import GZIP
from reku.records import Contract, Fault, FaultCode, FileRefused, read

INDEX = "inhalt.csv"
MOST_BYTES, MOST_UNPACKED, MOST_FILES = 20_000_000, 50_000_000, 2_000
"""Of a package: bytes as it comes, unpacked, and how many files it may hold."""
LARGEST_PICTURE = 60_000
"""Bytes: it travels with each mail of its advisor."""
WIDEST = {"BILD": 145, "UNTERSCHRIFT": 200}
"""Pixels."""
_MOST_TIMES = 100
_IS_LINK = 0o120000
_KIND_OF_FILE = 0o170000
_ARCHIVES = (b"PK\x03\x04", GZIP, b"Rar!", b"7z\xbc\xaf", b"BZh", b"\xfd7zXZ")


@dataclass(frozen=True)
class AdvisorPicture:
    """A picture (`kind` BILD) or signature (UNTERSCHRIFT) of an advisor who has agreed to it."""

    advisor: str
    kind: str
    content: bytes


@dataclass(frozen=True)
class AdvisorPackage:
    """What a package brings: the pictures, and a fault for each entry that is passed over."""

    pictures: tuple[AdvisorPicture, ...]
    passed_over: tuple[Fault, ...]


def read_package(contract: Contract, data: bytes, file_name: str, environment: str) -> AdvisorPackage:
    """The pictures of a package, and what is wrong with single ones.

    Raises FileRefused for a package that is no ZIP or too large, packed or not, for one with paths, links, passwords or
    other archives in it, and for an index that is missing or breaks its contract.
    """
    if len(data) > MOST_BYTES:
        raise _refused(FaultCode.ZU_GROSS, "Das Paket hat mehr als 20 MB. Bilder kleiner speichern.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_entries(archive, len(data))
            contents = {entry.filename: _content(archive, entry) for entry in archive.infolist()}
    # what `zipfile` raises: NotImplementedError for a way of packing it does not know, RuntimeError for a password
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise _refused(FaultCode.ARCHIV, "Das Paket ist kein vollständiges ZIP ohne Kennwort. Neu packen.") from None
    if INDEX not in contents:
        raise _refused(FaultCode.SPALTENSATZ_FEHLT, f"Im Paket fehlt das Verzeichnis {INDEX}. Mit ihm neu packen.")
    rows = read(contract, contents.pop(INDEX), environment=environment, file_name=file_name)
    pictures, passed_over = [], []
    for line, row in zip(rows.lines, rows.as_dicts(), strict=True):
        faults = list(_faults(row, contents, line))
        if faults:
            passed_over += faults
        else:
            pictures.append(AdvisorPicture(row["Berater_Nr"], row["Art"], contents[row["Datei"]]))
    return AdvisorPackage(tuple(pictures), tuple(passed_over))


def _check_entries(archive: zipfile.ZipFile, packed: int) -> None:
    entries = archive.infolist()
    total = sum(entry.file_size for entry in entries)
    if total > MOST_UNPACKED or total > max(1_000_000, _MOST_TIMES * packed):
        raise _refused(FaultCode.ZU_GROSS, "Das Paket wird entpackt viel zu groß. Nur Bilder packen.")
    if len(entries) > MOST_FILES or len({entry.filename for entry in entries}) < len(entries):
        raise _refused(FaultCode.ARCHIV, "Das Paket hat zu viele Dateien oder eine doppelt. Neu packen.")
    for entry in entries:
        is_link = entry.external_attr >> 16 & _KIND_OF_FILE == _IS_LINK
        if is_link or entry.filename in (".", "..") or any(sign in entry.filename for sign in "/\\:\0"):
            raise _refused(FaultCode.ARCHIV, "Im Paket stehen nur Dateien, ohne Ordner, Pfade und Verweise.")


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """What a file holds: what it says of its own size is not believed."""
    with archive.open(entry) as file:
        content = file.read(entry.file_size + 1)
    if len(content) > entry.file_size:
        raise _refused(FaultCode.ZU_GROSS, "Eine Datei im Paket ist größer, als das Paket sagt. Neu packen.")
    if content.startswith(_ARCHIVES):
        raise _refused(FaultCode.ARCHIV, "Im Paket liegt ein weiteres Archiv. Nur Bilder und das Verzeichnis packen.")
    return content


def _faults(row: Mapping[str, str], contents: Mapping[str, bytes], line: int) -> Iterator[Fault]:
    """What is wrong with one entry; the first is enough to pass it over."""
    name, kind = row.get("Datei", ""), row.get("Art", "")
    content, widest = contents.get(name), WIDEST.get(kind)
    if row.get("Zustimmung") != "J":
        yield Fault(FaultCode.WERT, field="Zustimmung", line=line, advice="Ohne Zustimmung wird kein Bild übernommen.")
    elif widest is None:
        yield Fault(FaultCode.WERT, field="Art", line=line, advice="BILD oder UNTERSCHRIFT angeben.")
    elif content is None:
        yield Fault(FaultCode.WERT, field="Datei", line=line, advice="Die Datei fehlt im Paket. Mit ihr neu packen.")
    elif len(content) > LARGEST_PICTURE:
        advice = f"Das Bild hat mehr als {LARGEST_PICTURE // 1000} KB. Kleiner oder mit weniger Farben speichern."
        yield Fault(FaultCode.ZU_GROSS, field="Datei", line=line, advice=advice)
    elif (found := sides(content)) is None:
        yield Fault(FaultCode.FORMAT, field="Datei", line=line, advice="Kein ganzes PNG oder JPEG. So speichern.")
    elif not (0 < found[0] <= widest and 0 < found[1] <= 2 * widest):
        yield Fault(
            FaultCode.WERT,
            field="Breite_px",
            line=line,
            advice=f"Höchstens {widest} Pixel breit speichern.",
        )
    elif row.get("SHA256") and row["SHA256"].lower() != hashlib.sha256(content).hexdigest():
        yield Fault(
            FaultCode.PRUEFSUMME, field="SHA256", line=line, advice="Die Summe passt nicht zur Datei. Neu packen."
        )


def _refused(code: FaultCode, advice: str) -> FileRefused:
    return FileRefused([Fault(code, advice=advice)])
