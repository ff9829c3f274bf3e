"""Reading an exchanged file: bytes in, rows of text out, or a refusal that says what and where.

Only what concerns the file as a whole is judged here; `rows.row_faults` judges the rows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from reku.foundation.errors import RekuError, suggest
from reku.foundation.unpacking import GZIP, MOST_TIMES, ArchiveTooDense, ArchiveTooLarge, BrokenArchive, unpack
from reku.records.clean import read_rows
from reku.records.code_page import check_code_page
from reku.records.contract import Contract
from reku.records.faults import Fault, FaultCode, FileRefused
from reku.records.parsing import LONGEST_LINE, MOST_FAULTS, kept, records, sound
from reku.records.record_file import Head, RecordFile
from reku.records.times import parse_moment

MOST_COLUMNS = 200
MOST_UNKNOWN = 10
"""Columns that the contract does not have: they are left out, but all their values have to be read."""
_LARGE = 100_000
"""Bytes from which on it is worth while to try and read a file by column."""

_BOM = b"\xef\xbb\xbf"
_FRAMED = re.compile(rb'V[;|\t]|"V"')
"""How the first line of a file with a leading record begins; no column of a header line is called so."""
_PACKED = (GZIP, b"PK\x03\x04")
"""How files begin that are packed by gzip, or by zip as Excel's are."""
HEAD = (
    "Dateiart",
    "Version",
    "BLZ",
    "Auftrags_Nr",
    "Lieferungs_Nr",
    "Erstellt_am",
    "Absender",
    "Empfaenger",
    "Umgebung",
)


def read(
    contract: Contract,
    data: bytes,
    *,
    environment: str,
    file_name: str | None = None,
    encoding: str | None = None,
) -> RecordFile:
    """The file's head and rows.

    `environment` is P or T: files of the other kind are refused. With `file_name` the leading record is held against
    it, and a packed file (.gz) is unpacked; without it `data` must be unpacked. `encoding` is the one agreed with the
    institute, by default the contract's first; nothing is guessed.

    Raises FileRefused with all faults of the first step that finds any (encoding, frame, head, columns, records,
    count and check sum), and RekuError for an `encoding` that the contract does not allow.
    """
    encoding = agreed_encoding(contract, encoding)
    named = _named(contract, file_name)
    data = _unpacked(contract, data, file_name)
    offset = len(_BOM) if encoding == "utf-8" and data.startswith(_BOM) else 0
    data = data[offset:]
    if not data or data.isspace():
        raise FileRefused([Fault(FaultCode.LEER, advice="Die Datei ist leer. Bitte vollständig neu liefern.")])
    if contract.frame == "either":
        contract = contract.model_copy(update={"frame": "vkdn" if _FRAMED.match(data) else "plain"})
    _check_rows(contract, data)
    check_code_page(data, encoding)
    if len(data) >= _LARGE and (file := _read_by_column(contract, data, encoding, environment, named)) is not None:
        return file
    text = _decoded(data, encoding, offset)
    _check_line_ends(data)
    if contract.frame == "plain":
        return _read_plain(contract, text, environment, named)
    closing = _find_closing_record(data, contract.delimiter)
    last_line = text.rfind("\n", 0, len(text) - 1) + 1
    body = records(text[:last_line], contract.delimiter)
    head = head_of(contract, next(body), environment, named)
    columns, warnings = columns_of(contract, next(body, []), line=2)
    rows = kept(contract, columns, _values(body, len(columns)))
    line = 3 + len(rows)
    closing_record = next(records(text[last_line:], contract.delimiter, first=line))
    _check_closing_record(closing_record, line, len(rows), hashlib.sha256(memoryview(data)[:closing]).hexdigest())
    return RecordFile(contract, head, columns, rows, range(3, line), warnings)


def _read_by_column(
    contract: Contract, data: bytes, encoding: str, environment: str, named: dict[str, str]
) -> RecordFile | None:
    """The file, if nothing about it is unusual. None: the whole text has to be looked at, and may be refused."""
    if contract.frame == "plain" or any(column.codes for column in contract.columns):
        return None
    body = data.find(b"\n", data.find(b"\n") + 1) + 1
    closing = data.rfind(b"\n", 0, len(data) - 1) + 1
    if not 0 < body < closing:
        return None
    frame = data[:body] + data[closing:]
    try:
        _check_line_ends(frame)
        if _find_closing_record(frame, contract.delimiter) != body:
            return None
        leading, names, closing_record = records(_decoded(frame, encoding, 0), contract.delimiter)
        head = head_of(contract, leading, environment, named)
        columns, warnings = columns_of(contract, names, line=2)
        with ThreadPoolExecutor(1) as beside:  # a check sum takes a third of the time, and lets others run
            checksum = beside.submit(hashlib.sha256, memoryview(data)[:closing])
            rows = read_rows(data, slice(body, closing), encoding, contract.delimiter, len(columns), LONGEST_LINE)
        if rows is None:
            return None
        _check_closing_record(closing_record, 3 + len(rows), len(rows), checksum.result().hexdigest())
    except FileRefused:
        return None
    return RecordFile(contract, head, columns, rows, range(3, 3 + len(rows)), warnings)


def agreed_encoding(contract: Contract, encoding: str | None) -> str:
    """The encoding to use: the one asked for, or the contract's first. Raises RekuError if it is not allowed."""
    if encoding is None:
        return contract.encodings[0]
    if encoding not in contract.encodings:
        raise RekuError(
            f"Contract {contract.kind} does not allow the encoding {encoding!r}, only {', '.join(contract.encodings)}. "
            f"Agree on one of these, or add it to `encodings` in contracts/{contract.kind.lower()}.yaml."
        )
    return encoding


def _named(contract: Contract, file_name: str | None) -> dict[str, str]:
    """The named parts of the file's name; empty without a name."""
    if file_name is None:
        return {}
    named = contract.match(file_name)
    if named is None:
        advice = f"Der Dateiname passt nicht zu {contract.kind}; erwartet wie {contract.file_name_example}."
        raise FileRefused([Fault(FaultCode.DATEINAME, advice=advice)])
    return named


def _unpacked(contract: Contract, data: bytes, file_name: str | None) -> bytes:
    """The plain bytes, never more of them than the contract allows, however small the archive is."""
    if len(data) > contract.max_bytes:  # an archive too
        raise _too_big(contract)
    if contract.gzip and file_name is not None and file_name.endswith(".gz"):
        try:
            return unpack(data, contract.max_bytes)
        except ArchiveTooDense:
            advice = f"Die Datei ist entpackt mehr als {MOST_TIMES}-mal so groß wie gepackt. Bitte ungepackt liefern."
            raise FileRefused([Fault(FaultCode.ZU_GROSS, advice=advice)]) from None
        except ArchiveTooLarge:
            raise _too_big(contract) from None
        except BrokenArchive:
            advice = "Das gzip-Archiv ist beschädigt oder unvollständig. Bitte neu packen und vollständig übertragen."
            raise FileRefused([Fault(FaultCode.ARCHIV, advice=advice)]) from None
    if data.startswith(_PACKED):
        packed = ", gepackt nur mit gzip und Namensende .gz" if contract.gzip else ", ungepackt"
        advice = f"Das ist keine CSV-Datei, sondern ein Archiv oder eine Excel-Datei. Bitte als CSV liefern{packed}."
        raise FileRefused([Fault(FaultCode.ARCHIV, advice=advice)])
    return data


def _too_big(contract: Contract) -> FileRefused:
    advice = f"Die Datei ist entpackt größer als {contract.max_bytes} Bytes. Bitte auf mehrere Lieferungen verteilen."
    return FileRefused([Fault(FaultCode.ZU_GROSS, advice=advice)])


def _decoded(data: bytes, encoding: str, offset: int) -> str:
    if encoding != "utf-8" and data.startswith(_BOM):
        advice = f"Die Datei beginnt mit der Kennung von utf-8 (BOM). Bitte in {encoding} liefern."
        raise FileRefused([Fault(FaultCode.ZEICHENSATZ, 1, advice=advice)])
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        advice = (
            f"Byte 0x{data[error.start]:02X} an Stelle {error.start + offset} (ab 0 gezählt) ist kein {encoding}. "
            f"Bitte in {encoding} liefern."
        )
        raise FileRefused([Fault(FaultCode.ZEICHENSATZ, line, advice=advice)]) from None


def _check_line_ends(data: bytes) -> None:
    if data.count(b"\r") == data.count(b"\r\n"):
        return
    place = next(match.start() for match in re.finditer(rb"\r(?!\n)", data))
    advice = "Ein Wagenrücklauf (CR) steht ohne Zeilenvorschub (LF). Jede Zeile mit CRLF oder LF beenden."
    raise FileRefused([Fault(FaultCode.ZEILENENDE, data.count(b"\n", 0, place) + 1, advice=advice)])


def _check_rows(contract: Contract, data: bytes) -> None:
    """Refuse a file of more lines than its rows may be; three of them are its frame."""
    if data.count(b"\n") > contract.max_rows + 3:
        advice = f"Die Datei hat mehr als {contract.max_rows} Sätze. Bitte auf mehrere Dateien verteilen."
        raise FileRefused([Fault(FaultCode.ZU_GROSS, advice=advice)])


def _find_closing_record(data: bytes, delimiter: str) -> int:
    """Where the N record begins, in bytes. Refuses a file without one and a file that goes on after it."""
    first = re.search(rb'(?m)^(?:N|"N")(?:' + re.escape(delimiter.encode()) + rb"|\r?$)", data)
    if first is None:
        line = data.rstrip(b"\r\n").count(b"\n") + 1
        advice = "Der Schlusssatz N fehlt: Die Datei ist abgeschnitten. Bitte vollständig neu liefern."
        raise FileRefused([Fault(FaultCode.SCHLUSSSATZ_FEHLT, line, advice=advice)])
    line_end = data.find(b"\n", first.start())
    if line_end not in (-1, len(data) - 1):
        line = data.count(b"\n", 0, line_end + 1) + 1
        advice = "Nach dem Schlusssatz N darf nichts mehr folgen, auch keine Leerzeile. Den Rest weglassen."
        raise FileRefused([Fault(FaultCode.NACH_SCHLUSSSATZ, line, advice=advice)])
    return first.start()


def head_of(contract: Contract, cells: list[str], environment: str, named: dict[str, str]) -> Head:
    """The V record, held against the contract, the environment and the file name."""
    if not cells or cells[0] != "V" or len(cells) != len(HEAD) + 1:
        advice = f"Die erste Zeile muss der Kopfsatz sein: V;{';'.join(HEAD)}."
        raise FileRefused([Fault(FaultCode.KOPFSATZ_FEHLT, 1, advice=advice)])
    value = dict(zip(HEAD, cells[1:], strict=True))
    faults: list[Fault] = []

    def fault(code: FaultCode, field: str, advice: str) -> None:
        faults.append(Fault(code, 1, field, advice))

    if value["Dateiart"] != contract.kind:
        advice = f"Erwartet wird die Dateiart {contract.kind}. Kopfsatz oder Dateinamen berichtigen."
        fault(FaultCode.DATEIART, "Dateiart", advice)
        raise FileRefused(faults)
    if value["Version"] != contract.version:
        fault(FaultCode.VERSION, "Version", f"Vereinbart ist Version {contract.version}. In diesem Satzaufbau liefern.")
        raise FileRefused(faults)
    if value["Umgebung"] not in ("P", "T"):
        fault(FaultCode.FORMAT, "Umgebung", "Umgebung ist P (Produktion) oder T (Test).")
    elif value["Umgebung"] != environment:
        kind = {"P": "Produktion", "T": "Test"}
        here, there = kind.get(environment, environment), kind[value["Umgebung"]]
        advice = f"Die Datei ist für {there} bestimmt, hier ist {here}. In die richtige Umgebung liefern."
        fault(FaultCode.UMGEBUNG, "Umgebung", advice)
    if not re.fullmatch("[0-9]{8}", value["BLZ"]):
        fault(FaultCode.FORMAT, "BLZ", "BLZ muss aus genau 8 Ziffern bestehen.")
    if not re.fullmatch("[0-9]{1,6}", value["Lieferungs_Nr"]):
        fault(FaultCode.FORMAT, "Lieferungs_Nr", "Lieferungs_Nr muss aus 1 bis 6 Ziffern bestehen.")
    moment = None
    try:
        moment = parse_moment(value["Erstellt_am"])
    except ValueError:
        fault(FaultCode.FORMAT, "Erstellt_am", "Erstellt_am muss ein Zeitpunkt TT.MM.JJJJ HH:MM:SS sein.")
    same: dict[str, tuple[str, Callable[[str], object]]] = {
        "blz": ("BLZ", str),
        "auftrag": ("Auftrags_Nr", str),
        "lnr": ("Lieferungs_Nr", _number),
    }
    for part, (field, form) in same.items():
        if part in named and form(named[part]) != form(value[field]):
            advice = f"{field} ist im Kopfsatz anders als im Dateinamen. Eines von beiden berichtigen."
            fault(FaultCode.WIDERSPRUCH, field, advice)
    if faults or moment is None:
        raise FileRefused(faults)
    return Head(
        kind=value["Dateiart"],
        version=value["Version"],
        institute=value["BLZ"],
        order_number=value["Auftrags_Nr"],
        delivery_number=value["Lieferungs_Nr"],
        created_at=moment,
        sender=value["Absender"],
        receiver=value["Empfaenger"],
        environment=value["Umgebung"],
    )


def _number(text: str) -> str:
    """17 and 000017 are the same delivery number."""
    return text.lstrip("0") or "0"


def columns_of(contract: Contract, cells: list[str], line: int) -> tuple[tuple[str, ...], tuple[Fault, ...]]:
    """The column names in the file's order, and warnings for unknown ones."""
    if contract.frame == "vkdn":
        if not cells or cells[0] != "K":
            advice = "Die zweite Zeile muss der Satz K mit den Spaltennamen sein."
            raise FileRefused([Fault(FaultCode.SPALTENSATZ_FEHLT, line, advice=advice)])
        cells = cells[1:]
    if len(cells) > MOST_COLUMNS:
        advice = f"{len(cells)} Spalten; {contract.kind} hat {len(contract.columns)}. Nur die vereinbarten liefern."
        raise FileRefused([Fault(FaultCode.SPALTEN_ZU_VIELE, line, advice=advice)])
    known = [column.name for column in contract.columns]
    faults, warnings, seen = list[Fault](), list[Fault](), set[str]()
    for number, name in enumerate(cells, 1):
        if name in seen or not name:
            what = f"Den Namen der Spalte {number} gibt es zweimal" if name else f"Spalte {number} hat keinen Namen"
            # A name that no contract has may be a value of a person, where the column names are missing.
            shown = name if name in known else ""
            faults.append(Fault(FaultCode.SPALTE_DOPPELT, line, shown, f"{what}. Jede Spalte einmal benennen."))
        elif name not in known:
            warnings.append(
                Fault(FaultCode.SPALTE_UNBEKANNT, line, name[:60], "Die Spalte ist nicht vereinbart und entfällt.")
            )
        seen.add(name)
    if len(warnings) > MOST_UNKNOWN:
        advice = f"{len(warnings)} Spalten sind nicht vereinbart. Nur die Spalten der Dateibeschreibung liefern."
        faults.append(Fault(FaultCode.SPALTEN_ZU_VIELE, line, advice=advice))
    for name in contract.mandatory:
        if name not in seen:
            near = suggest(name, [warning.field for warning in warnings])
            advice = f"Die Pflichtspalte {name} fehlt. " + (f"Ist {near} gemeint?" if near else "Spalte ergänzen.")
            faults.append(Fault(FaultCode.SPALTE_FEHLT, line, name, advice))
    if faults:
        raise FileRefused(faults[:MOST_FAULTS])
    return tuple(cells), tuple(warnings)


def _values(body: Iterator[list[str]], width: int) -> Iterator[list[str]]:
    """The values of the D records, which stand between K and N and have as many cells as K."""

    def judge(record: list[str], line: int) -> Fault | None:
        return None if len(record) == width + 1 and record[0] == "D" else _record_fault(record, line, width)

    return (record[1:] for record in sound(body, 3, judge))


def _record_fault(record: list[str], line: int, width: int) -> Fault:
    if not record or record[0] != "D":
        return Fault(
            FaultCode.SATZART, line, advice="Zwischen den Sätzen K und N stehen nur Sätze D, keine Leerzeilen."
        )
    advice = (
        f"Der Satz hat {len(record) - 1} Werte, der Spaltensatz nennt {width}. Leere Werte mitliefern; "
        "Werte, die das Trennzeichen enthalten, in Anführungszeichen setzen."
    )
    return Fault(FaultCode.ZELLENZAHL, line, advice=advice)


def _check_closing_record(cells: list[str], line: int, rows: int, checksum: str) -> None:
    if len(cells) != 3:
        advice = "Der Schlusssatz ist unvollständig; erwartet N;Anzahl_D;Pruefsumme."
        raise FileRefused([Fault(FaultCode.SCHLUSSSATZ_FEHLT, line, advice=advice)])
    faults = []
    if not re.fullmatch("[0-9]{1,9}", cells[1]) or int(cells[1]) != rows:
        advice = f"Die Datei enthält {rows} Sätze D; der Schlusssatz nennt eine andere Anzahl. Vollständig neu liefern."
        faults.append(Fault(FaultCode.ANZAHL, line, "Anzahl_D", advice))
    if cells[2] != checksum:
        if cells[2].lower() == checksum:
            advice = "Die Prüfsumme ist richtig, aber in Kleinbuchstaben zu schreiben."
        else:
            advice = "Die Prüfsumme passt nicht zum Inhalt: Die Datei wurde unterwegs verändert. Bitte neu liefern."
        faults.append(Fault(FaultCode.PRUEFSUMME, line, "Pruefsumme", advice))
    if faults:
        raise FileRefused(faults)


def _read_plain(contract: Contract, text: str, environment: str, named: dict[str, str]) -> RecordFile:
    """A file with a header line only: what the V record would say comes from the file name; nothing is secured."""
    body = records(text, contract.delimiter)
    columns, warnings = columns_of(contract, next(body), line=1)

    def judge(record: list[str], line: int) -> Fault | None:
        if len(record) == len(columns):
            return None
        advice = f"Die Zeile hat {len(record)} Werte, die Kopfzeile nennt {len(columns)}."
        return Fault(FaultCode.ZELLENZAHL, line, advice=advice)

    rows = kept(contract, columns, sound(body, 2, judge))
    stamp = named.get("zeit", "")
    try:
        moment = parse_moment(f"{stamp[6:8]}.{stamp[4:6]}.{stamp[:4]} {stamp[8:10]}:{stamp[10:12]}:{stamp[12:]}")
    except ValueError:
        advice = "Ohne Kopfsatz muss der Dateiname den Zeitpunkt JJJJMMTTHHMMSS tragen."
        raise FileRefused([Fault(FaultCode.DATEINAME, advice=advice)]) from None
    head = Head(
        kind=contract.kind,
        version=contract.version,
        institute=named.get("blz", ""),
        order_number=named.get("auftrag", ""),
        delivery_number=named.get("lnr", "0"),
        created_at=moment,
        sender="",
        receiver="",
        environment=environment,
    )
    unsecured = Fault(FaultCode.UNGESICHERT, advice="Ohne Kopf- und Schlusssatz: Anzahl und Prüfsumme sind ungeprüft.")
    return RecordFile(contract, head, columns, rows, range(2, 2 + len(rows)), (unsecured, *warnings))
