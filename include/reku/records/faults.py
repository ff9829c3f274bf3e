"""What can be wrong with an exchanged file or one of its rows: one closed list of codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from reku.foundation.errors import RekuError

LONGEST_ADVICE = 200
"""Characters of `Hinweis` in a receipt."""


class FaultCode(StrEnum):
    """Fehler_Code of a receipt; `meaning` is one line for people."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> FaultCode:
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    # The file as a whole
    LEER = "LEER", "the file is empty"
    ZU_GROSS = "ZU_GROSS", "the unpacked file is larger than allowed"
    ARCHIV = "ARCHIV", "the gzip archive is broken or incomplete, or the file is packed another way"
    ZEICHENSATZ = "ZEICHENSATZ", "a byte or character that the agreed encoding does not have"
    ZEILENENDE = "ZEILENENDE", "a carriage return without a line feed"
    STEUERZEICHEN = "STEUERZEICHEN", "a control character (NUL, tab …)"
    ZEILENUMBRUCH = "ZEILENUMBRUCH", "a line break inside a value"
    ANFUEHRUNGSZEICHEN = "ANFUEHRUNGSZEICHEN", "a quoted value that does not end as it should"
    SATZ_ZU_LANG = "SATZ_ZU_LANG", "a line longer than any record can be"
    KOPFSATZ_FEHLT = "KOPFSATZ_FEHLT", "the leading record V is missing or incomplete"
    SPALTENSATZ_FEHLT = "SPALTENSATZ_FEHLT", "the record K with the column names is missing"
    SCHLUSSSATZ_FEHLT = "SCHLUSSSATZ_FEHLT", "the closing record N is missing or incomplete: the file is cut off"
    NACH_SCHLUSSSATZ = "NACH_SCHLUSSSATZ", "something follows the closing record N"
    SATZART = "SATZART", "a record of an unknown kind, or at a place where it may not stand"
    ZELLENZAHL = "ZELLENZAHL", "more or fewer cells than column names"
    ANZAHL = "ANZAHL", "the closing record counts other than the file holds"
    PRUEFSUMME = "PRUEFSUMME", "the check sum does not fit the bytes"
    DATEIART = "DATEIART", "the leading record names another kind of file than the file name"
    VERSION = "VERSION", "a version of the layout that nobody agreed on"
    UMGEBUNG = "UMGEBUNG", "a test file in production or the reverse"
    WIDERSPRUCH = "WIDERSPRUCH", "file name, leading record and rows disagree"
    SPALTE_FEHLT = "SPALTE_FEHLT", "a mandatory column is missing"
    SPALTE_DOPPELT = "SPALTE_DOPPELT", "a column name stands twice or is empty"
    SPALTEN_ZU_VIELE = "SPALTEN_ZU_VIELE", "more columns than any contract has"
    FEHLERQUOTE = "FEHLERQUOTE", "more rejected rows than allowed"
    SCHRUMPFUNG = "SCHRUMPFUNG", "a snapshot that is empty, or much smaller than the one before"
    SPALTE_LEER = "SPALTE_LEER", "a column that was filled in the snapshot before, and is missing or empty now"
    AENDERUNG = "AENDERUNG", "a delta that was not agreed on, that no young snapshot carries, or with half a household"
    VERALTET = "VERALTET", "older than what was taken in already"
    KLARNUMMER = "KLARNUMMER", "a clear number where pseudonyms were agreed"
    # One row
    PFLICHTFELD = "PFLICHTFELD", "a mandatory value is empty"
    FORMAT = "FORMAT", "a value not written as its type demands"
    WERT = "WERT", "a value that is not allowed here"
    LAENGE = "LAENGE", "a value that is too long"
    DUBLETTE = "DUBLETTE", "a key that stood in the file before"
    ABGELAUFEN = "ABGELAUFEN", "an impulse that is not valid any more"
    PERSON_UNBEKANNT = "PERSON_UNBEKANNT", "a person whom the newest customers do not have"
    REFERENZ_UNBEKANNT = "REFERENZ_UNBEKANNT", "a reference that no job of ours has"
    ADRESSE = "ADRESSE", "not a valid mail address"
    BESCHAEDIGT = "BESCHAEDIGT", "a text that was damaged on its way: character set, HTML, placeholder"
    NAME_UMLAUT = "NAME_UMLAUT", "an umlaut, a blank or another forbidden character in the order name"
    ANLASS_UNBEKANNT = "ANLASS_UNBEKANNT", "an occasion that the catalogue does not know"
    ANLASS_ABWEICHEND = "ANLASS_ABWEICHEND", "another occasion than the order's"
    # What intake finds between files
    STEUERUNG_FEHLT = "STEUERUNG_FEHLT", "a delivery before its control file"
    STEUERUNG_FEHLERHAFT = "STEUERUNG_FEHLERHAFT", "the order's newest control file was faulty"
    SCHNITTSTELLE_INAKTIV = "SCHNITTSTELLE_INAKTIV", "the institute's interface is not active"
    INSTITUT_UNBEKANNT = "INSTITUT_UNBEKANNT", "an institute that nobody set up here"
    LISTENLIMIT = "LISTENLIMIT", "the institute has 150 lists already"
    AUFTRAG_UNBEKANNT = "AUFTRAG_UNBEKANNT", "an order that no control file has announced"
    AUFTRAG_BEENDET = "AUFTRAG_BEENDET", "the order has ended"
    NUMMER_VERGEBEN = "NUMMER_VERGEBEN", "another file has this number already"
    DATEINAME = "DATEINAME", "no contract knows a file of this name"
    VERARBEITUNG = "VERARBEITUNG", "a file that could not be handled here in three tries; a person looks at it"
    # Warnings: the file is taken all the same
    IMPULS_GEPARKT = "IMPULS_GEPARKT", "an impulse whose code no campaign of the bank answers; it waits for one"
    SPALTE_UNBEKANNT = "SPALTE_UNBEKANNT", "a column that the contract does not have; it is left out"
    NUMMERNLUECKE = "NUMMERNLUECKE", "a delivery number was left out"
    LISTENNAME = "LISTENNAME", "the list has another name already and keeps it"
    WERBEMITTEL = "WERBEMITTEL", "a medium that is not suited to the occasion; the campaign decides"
    UNGESICHERT = "UNGESICHERT", "a file without leading and closing record: count and check sum are unchecked"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a file or a row.

    `line` is the line in the file (1-based; None: the whole file), `advice` a German sentence for the sender that
    says what would be right and holds no personal data, `reference` the row's Referenz.
    """

    code: FaultCode
    line: int | None = None
    field: str = ""
    advice: str = ""
    reference: str = ""

    def __str__(self) -> str:
        place = ", ".join(
            part
            for part in (f"line {self.line}" if self.line else "", f"field {self.field}" if self.field else "")
            if part
        )
        return f"{self.code}{f' ({place})' if place else ''}: {self.code.meaning}. {self.advice}".rstrip()


class FileRefused(RekuError):
    """An exchanged file that is refused as a whole: nothing of it was taken, or nothing of it was written.

    `faults` holds at least one fault; the receipt is made from them.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        if not self.faults:
            raise ValueError("a refusal needs a fault")
        super().__init__("The file is refused. " + " ".join(str(fault) for fault in self.faults))
