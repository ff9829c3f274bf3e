"""Deliveries broken as files (docs/domain.md, rule 8): how each is damaged, and the exact verdict it must get."""

from __future__ import annotations

import zipfile
from io import BytesIO

from tests.sources.conftest import MOST_BYTES
from tests.sources.osplus.broken import (
    Damage,
    Verdict,
    accepted,
    after,
    body_of,
    line,
    packed,
    refused,
    registered,
    sealed,
    swap,
)

AGAIN = "Die Prüfsumme passt nicht zum Inhalt: Die Datei wurde unterwegs verändert. Bitte neu liefern."
COUNT = "Die Datei enthält 2 Sätze D; der Schlusssatz nennt eine andere Anzahl. Vollständig neu liefern."
CUT = "Der Schlusssatz N fehlt: Die Datei ist abgeschnitten. Bitte vollständig neu liefern."
INCOMPLETE = "Der Schlusssatz ist unvollständig; erwartet N;Anzahl_D;Pruefsumme."
BEHIND = "Nach dem Schlusssatz N darf nichts mehr folgen, auch keine Leerzeile. Den Rest weglassen."
EMPTY = "Die Datei ist leer. Bitte vollständig neu liefern."
LONE_CR = "Ein Wagenrücklauf (CR) steht ohne Zeilenvorschub (LF). Jede Zeile mit CRLF oder LF beenden."
BROKEN_LINE = "Ein Wert in Anführungszeichen geht über das Zeilenende. Zeilenumbrüche aus Werten entfernen."
QUOTES = 'Anführungszeichen sind nicht richtig geschlossen. Innerhalb eines Wertes verdoppeln: "".'
TOO_LONG = (
    "Die Zeile hat mehr als 100000 Zeichen. Werte auf die vereinbarte Länge kürzen; prüfen, ob ein Zeilenende fehlt."
)
TOO_BIG = f"Die Datei ist entpackt größer als {MOST_BYTES} Bytes. Bitte auf mehrere Lieferungen verteilen."
NO_CSV = (
    "Das ist keine CSV-Datei, sondern ein Archiv oder eine Excel-Datei. "
    "Bitte als CSV liefern, gepackt nur mit gzip und Namensende .gz."
)
ARCHIVE = "Das gzip-Archiv ist beschädigt oder unvollständig. Bitte neu packen und vollständig übertragen."
NO_HEAD = (
    "Die erste Zeile muss der Kopfsatz sein: "
    "V;Dateiart;Version;BLZ;Auftrags_Nr;Lieferungs_Nr;Erstellt_am;Absender;Empfaenger;Umgebung."
)
ONCE = "Jede Spalte einmal benennen."
NO_COLUMNS = "Die zweite Zeile muss der Satz K mit den Spaltennamen sein."
NO_ROW = "Zwischen den Sätzen K und N stehen nur Sätze D, keine Leerzeilen."
KIND = "Erwartet wird die Dateiart REKU. Kopfsatz oder Dateinamen berichtigen."
MOMENT = "Erstellt_am muss ein Zeitpunkt TT.MM.JJJJ HH:MM:SS sein."


def _other(field: str) -> str:
    return f"{field} ist im Kopfsatz anders als im Dateinamen. Eines von beiden berichtigen."


def _control(character: str) -> str:
    return f"Steuerzeichen U+{character} ist nicht erlaubt. Bitte aus den Feldern entfernen."


def _byte(value: str, place: int) -> str:
    return f"Byte {value} an Stelle {place} (ab 0 gezählt) ist kein utf-8. Bitte in utf-8 liefern."


def _cells(number: int) -> str:
    return (
        f"Der Satz hat {number} Werte, der Spaltensatz nennt 22. Leere Werte mitliefern; "
        "Werte, die das Trennzeichen enthalten, in Anführungszeichen setzen."
    )


def _zip(data: bytes) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("lieferung.csv"), data)
    return buffer.getvalue()


def _without_columns(data: bytes) -> bytes:
    lines = body_of(data).splitlines(keepends=True)
    return sealed(lines[0] + b"".join(lines[2:]))


def _swapped_columns(data: bytes) -> bytes:
    """The same delivery with its columns the other way round."""
    lines = [text.split(b";") for text in body_of(data).split(b"\r\n")[:-1]]
    turned = [lines[0], *([cells[0], *reversed(cells[1:])] for cells in lines[1:])]
    return sealed(b"".join(b";".join(cells) + b"\r\n" for cells in turned))


def _with_column(name: bytes, value: bytes) -> Damage:
    def damage(data: bytes) -> bytes:
        head, columns, *rows = body_of(data).split(b"\r\n")[:-1]
        lines = [head, columns + b";" + name, *(row + b";" + value for row in rows)]
        return sealed(b"".join(text + b"\r\n" for text in lines))

    return damage


FILES: dict[str, tuple[Damage, Verdict]] = {
    # The closing record
    "wrong count": (after(b"\r\nN;2;", b"\r\nN;3;"), refused((5, "Anzahl_D", "ANZAHL", COUNT))),
    "count in words": (after(b"\r\nN;2;", b"\r\nN;zwei;"), refused((5, "Anzahl_D", "ANZAHL", COUNT))),
    "one letter changed": (after(b"Beispiel", b"beispiel"), refused((5, "Pruefsumme", "PRUEFSUMME", AGAIN))),
    "line ends changed on the way": (
        lambda data: data.replace(b"\r\n", b"\n"),
        refused((5, "Pruefsumme", "PRUEFSUMME", AGAIN)),
    ),
    "check sum in upper case": (
        lambda data: body_of(data) + data[len(body_of(data)) :].upper(),
        refused((5, "Pruefsumme", "PRUEFSUMME", "Die Prüfsumme ist richtig, aber in Kleinbuchstaben zu schreiben.")),
    ),
    "a row lost on the way": (
        lambda data: b"".join(data.splitlines(keepends=True)[:3] + data.splitlines(keepends=True)[4:]),
        refused(
            (4, "Anzahl_D", "ANZAHL", COUNT.replace("2 Sätze", "1 Sätze")),
            (4, "Pruefsumme", "PRUEFSUMME", AGAIN),
        ),
    ),
    "no closing record": (body_of, refused((4, "", "SCHLUSSSATZ_FEHLT", CUT))),
    "cut in the middle of a row": (
        lambda data: data[: data.rindex(b"kunde.example")],
        refused((4, "", "SCHLUSSSATZ_FEHLT", CUT)),
    ),
    "closing record without check sum": (
        lambda data: body_of(data) + b"N;2\r\n",
        refused((5, "", "SCHLUSSSATZ_FEHLT", INCOMPLETE)),
    ),
    "a row after the closing record": (
        lambda data: data + b"D;x\r\n",
        refused((6, "", "NACH_SCHLUSSSATZ", BEHIND)),
    ),
    "a blank line after it": (lambda data: data + b"\r\n", refused((6, "", "NACH_SCHLUSSSATZ", BEHIND))),
    "an end-of-file mark after it": (lambda data: data + b"\x1a", refused((6, "", "NACH_SCHLUSSSATZ", BEHIND))),
    "two files in one": (lambda data: data + data, refused((6, "", "NACH_SCHLUSSSATZ", BEHIND))),
    # Bytes and characters
    "empty": (lambda _: b"", refused((None, "", "LEER", EMPTY))),
    "only blank lines": (lambda _: b"\r\n\r\n", refused((None, "", "LEER", EMPTY))),
    "only a byte order mark": (lambda _: b"\xef\xbb\xbf", refused((None, "", "LEER", EMPTY))),
    "undecodable byte": (
        swap(b";FI;", b";F\xdc;"),
        refused((1, "", "ZEICHENSATZ", _byte("0xDC", len("V;REKU;1;99950001;R0000000;000017;22.11.2026 02:00:00;F")))),
    ),
    "undecodable byte after a byte order mark": (
        lambda data: b"\xef\xbb\xbf" + swap(b"V;REKU", b"V;R\xc4KU")(data),
        refused((1, "", "ZEICHENSATZ", _byte("0xC4", 6))),
    ),
    "iso-8859-15": (
        lambda data: sealed(body_of(data).decode().encode("iso-8859-15")),
        refused((3, "", "ZEICHENSATZ", _byte("0xF6", 412))),
    ),
    "utf-16": (lambda data: data.decode().encode("utf-16"), refused((1, "", "ZEICHENSATZ", _byte("0xFF", 0)))),
    "NUL": (swap("Jördis", "Jör\0dis"), refused((3, "", "STEUERZEICHEN", _control("0000")))),
    "tab": (swap("Jördis", "\tJördis"), refused((3, "", "STEUERZEICHEN", _control("0009")))),
    "C1 control character": (swap("Jördis", "J\x85rdis"), refused((3, "", "STEUERZEICHEN", _control("0085")))),
    "line separator": (swap("Jördis", "J\u2028rdis"), refused((3, "", "STEUERZEICHEN", _control("2028")))),
    "lone CR in a value": (swap("Jördis", "Jör\rdis"), refused((3, "", "ZEILENENDE", LONE_CR))),
    "CR line ends": (lambda data: data.replace(b"\r\n", b"\r"), refused((1, "", "ZEILENENDE", LONE_CR))),
    # Values and quotes
    "line break in a quoted value": (
        swap("Jördis", '"Jör\r\ndis"'),
        refused((3, "", "ZEILENUMBRUCH", BROKEN_LINE)),
    ),
    "quote never closed": (swap("Jördis", '"Jördis'), refused((3, "", "ANFUEHRUNGSZEICHEN", QUOTES))),
    "text after a closing quote": (swap("Jördis", '"Jör"dis'), refused((3, "", "ANFUEHRUNGSZEICHEN", QUOTES))),
    "1 MB in one field": (swap("Jördis", "J" * 1_000_000), refused((3, "", "SATZ_ZU_LANG", TOO_LONG))),
    # The leading record
    "no leading record": (
        lambda data: sealed(body_of(data).partition(b"\r\n")[2]),
        refused((1, "", "KOPFSATZ_FEHLT", NO_HEAD)),
    ),
    "blank first line": (
        lambda data: sealed(b"\r\n" + body_of(data)),
        refused((1, "", "KOPFSATZ_FEHLT", NO_HEAD)),
    ),
    "leading record one cell short": (swap(";EMMA;T", ";EMMA"), refused((1, "", "KOPFSATZ_FEHLT", NO_HEAD))),
    "comma for semicolon": (
        lambda data: body_of(data).replace(b";", b",") + b"N;2;0",
        refused((1, "", "KOPFSATZ_FEHLT", NO_HEAD)),
    ),
    "Dateiart of another kind": (swap("V;REKU", "V;IAMW"), refused((1, "Dateiart", "DATEIART", KIND))),
    "Dateiart that nobody knows": (swap("V;REKU", "V;reku"), refused((1, "Dateiart", "DATEIART", KIND))),
    "version 2": (
        swap("V;REKU;1", "V;REKU;2"),
        refused((1, "Version", "VERSION", "Vereinbart ist Version 1. In diesem Satzaufbau liefern.")),
    ),
    "production file in test": (
        swap(";EMMA;T", ";EMMA;P"),
        refused(
            (
                1,
                "Umgebung",
                "UMGEBUNG",
                "Die Datei ist für Produktion bestimmt, hier ist Test. In die richtige Umgebung liefern.",
            )
        ),
    ),
    "environment X": (
        swap(";EMMA;T", ";EMMA;X"),
        refused((1, "Umgebung", "FORMAT", "Umgebung ist P (Produktion) oder T (Test).")),
    ),
    "other BLZ than in the name": (swap("99950001", "99950002"), refused((1, "BLZ", "WIDERSPRUCH", _other("BLZ")))),
    "BLZ without its last digit": (
        swap("99950001", "9995000"),
        refused(
            (1, "BLZ", "FORMAT", "BLZ muss aus genau 8 Ziffern bestehen."), (1, "BLZ", "WIDERSPRUCH", _other("BLZ"))
        ),
    ),
    "other order and number than in the name": (
        swap(";000017;", "9;000018;"),
        refused(
            (1, "Auftrags_Nr", "WIDERSPRUCH", _other("Auftrags_Nr")),
            (1, "Lieferungs_Nr", "WIDERSPRUCH", _other("Lieferungs_Nr")),
        ),
    ),
    "31 November": (swap("22.11.2026", "31.11.2026"), refused((1, "Erstellt_am", "FORMAT", MOMENT))),
    "two-digit year": (swap("22.11.2026", "22.11.26"), refused((1, "Erstellt_am", "FORMAT", MOMENT))),
    # The columns
    "no column names": (_without_columns, refused((2, "", "SPALTENSATZ_FEHLT", NO_COLUMNS))),
    "mandatory column missing": (
        swap(";EMail;", ";Telefax;"),
        refused((2, "EMail", "SPALTE_FEHLT", "Die Pflichtspalte EMail fehlt. Spalte ergänzen.")),
    ),
    "mandatory column misspelt": (
        swap(";EMail;", ";E-Mail;"),
        refused((2, "EMail", "SPALTE_FEHLT", "Die Pflichtspalte EMail fehlt. Ist E-Mail gemeint?")),
    ),
    "column twice": (
        swap(";Titel;", ";Anrede;"),
        refused(
            (2, "Anrede", "SPALTE_DOPPELT", "Den Namen der Spalte 7 gibt es zweimal. Jede Spalte einmal benennen.")
        ),
    ),
    "column without a name": (
        swap(";Titel;", ";;"),
        refused((2, "", "SPALTE_DOPPELT", f"Spalte 7 hat keinen Namen. {ONCE}")),
    ),
    "10,000 columns": (
        swap(";Titel;", ";Titel;" + "x;" * 10_000),
        refused((2, "", "SPALTEN_ZU_VIELE", "10022 Spalten; REKU hat 22. Nur die vereinbarten liefern.")),
    ),
    # The records
    "second leading record": (swap("\r\nD;", "\r\nV;x\r\nD;"), refused((3, "", "SATZART", NO_ROW))),
    "doubled header": (swap("\r\nD;", "\r\nK;Referenz\r\nD;"), refused((3, "", "SATZART", NO_ROW))),
    "blank line between rows": (swap("\r\nD;", "\r\n\r\nD;"), refused((3, "", "SATZART", NO_ROW))),
    "record in lower case": (swap("\r\nD;", "\r\nd;"), refused((3, "", "SATZART", NO_ROW))),
    "one cell too few": (line(4, lambda row: row[:-1]), refused((4, "", "ZELLENZAHL", _cells(21)))),
    "one cell too many": (line(4, lambda row: row + b";"), refused((4, "", "ZELLENZAHL", _cells(23)))),
    "delimiter in a value": (swap("Jördis", "Jördis;Anna"), refused((3, "", "ZELLENZAHL", _cells(23)))),
    "a thousand rows too short": (
        lambda data: sealed(body_of(data) + b"D;x\r\n" * 1_000),
        refused(*((number, "", "ZELLENZAHL", _cells(1)) for number in range(5, 25))),
    ),
    # Size and packing
    "more bytes than allowed": (
        lambda data: sealed(body_of(data) + b"D;" + b";" * 21 + b"\r\n" + b"x" * MOST_BYTES),
        refused((None, "", "ZU_GROSS", TOO_BIG)),
    ),
    "packed but not named so": (packed, refused((None, "", "ARCHIV", NO_CSV))),
    "ZIP archive": (_zip, refused((None, "", "ARCHIV", NO_CSV))),
    # Tolerated: none of these may be refused
    "LF line ends": (lambda data: sealed(body_of(data).replace(b"\r\n", b"\n")), registered()),
    "byte order mark": (lambda data: b"\xef\xbb\xbf" + data, accepted(2)),
    "no line end after N": (lambda data: data.rstrip(b"\r\n"), registered()),
    "columns in another order": (_swapped_columns, accepted(2)),
    "unknown column": (_with_column(b"Schuhgroesse", b"43"), accepted(2, "SPALTE_UNBEKANNT")),
    "quotes where none are needed": (swap("Jördis", '"Jör""dis"""'), accepted(2)),
    "no rows": (lambda data: sealed(b"".join(data.splitlines(keepends=True)[:2])), accepted(0)),
}

PACKED: dict[str, tuple[Damage, Verdict]] = {
    "gz bomb": (lambda _: packed(bytes(50 * MOST_BYTES)), refused((None, "", "ZU_GROSS", TOO_BIG))),
    "cut archive": (lambda data: packed(data)[:-9], refused((None, "", "ARCHIV", ARCHIVE))),
    "archive of half its length": (
        lambda data: packed(data)[: len(packed(data)) // 2],
        refused((None, "", "ARCHIV", ARCHIVE)),
    ),
    "archive with something behind": (lambda data: packed(data) + b"x", refused((None, "", "ARCHIV", ARCHIVE))),
    "not packed but named so": (lambda data: data, refused((None, "", "ARCHIV", ARCHIVE))),
    "packed nothing": (lambda _: packed(b""), refused((None, "", "LEER", EMPTY))),
    "packed wrong count": (
        lambda data: packed(after(b"\r\nN;2;", b"\r\nN;1;")(data)),
        refused((5, "Anzahl_D", "ANZAHL", COUNT)),
    ),
    "packed": (packed, accepted(2)),
    "packed in two parts": (lambda data: packed(data[:300]) + packed(data[300:]), registered()),
}
