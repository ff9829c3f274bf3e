"""The text of a file as lines, records and rows, one after the other: all of them at once could take any room."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from reku.records.columns import Columns
from reku.records.contract import Contract
from reku.records.faults import Fault, FaultCode, FileRefused
from reku.records.record_file import CONTROL

MOST_FAULTS = 20
"""A refusal names no more faults of one sort than this."""
LONGEST_LINE = 100_000
"""Characters; the widest contract stays below 2,000."""
_MANY = 2_000
"""Rows that are kept as lists, which take twenty times the room of their text."""

_CONTROL = re.compile(f"[{CONTROL}]")


def lines(text: str, delimiter: str, first: int = 1) -> Iterator[str]:
    """The lines without their ends, the first one being line `first` of the file.

    Raises FileRefused for the first control character before it gives any line, and for an over-long line.
    """
    text = text.replace("\r\n", "\n").removesuffix("\n")
    for control in _CONTROL.finditer(text):
        if control[0] != delimiter:
            line = first + text.count("\n", 0, control.start())
            advice = f"Steuerzeichen U+{ord(control[0]):04X} ist nicht erlaubt. Bitte aus den Feldern entfernen."
            raise FileRefused([Fault(FaultCode.STEUERZEICHEN, line, advice=advice)])
    start, line = 0, first
    while start <= len(text):
        end = text.find("\n", start)
        if end == -1:
            end = len(text)
        if end - start > LONGEST_LINE:
            advice = (
                f"Die Zeile hat mehr als {LONGEST_LINE} Zeichen. Werte auf die vereinbarte Länge kürzen; "
                "prüfen, ob ein Zeilenende fehlt."
            )
            raise FileRefused([Fault(FaultCode.SATZ_ZU_LANG, line, advice=advice)])
        yield text[start:end]
        start, line = end + 1, line + 1


def records(text: str, delimiter: str, first: int = 1) -> Iterator[list[str]]:
    """The cells of every line, as `lines` gives them. Raises FileRefused for a record that goes over two lines."""
    reader = csv.reader(
        lines(text, delimiter, first), delimiter=delimiter, quotechar='"', doublequote=True, strict=True
    )
    line = first
    try:
        for record in reader:
            if first + reader.line_num != line + 1:
                advice = "Ein Wert in Anführungszeichen geht über das Zeilenende. Zeilenumbrüche aus Werten entfernen."
                raise FileRefused([Fault(FaultCode.ZEILENUMBRUCH, line, advice=advice)])
            yield record
            line += 1
    except csv.Error:
        # A quote that stays open swallows the lines after it; the line where it opened is the one to mend.
        advice = 'Anführungszeichen sind nicht richtig geschlossen. Innerhalb eines Wertes verdoppeln: "".'
        raise FileRefused([Fault(FaultCode.ANFUEHRUNGSZEICHEN, line, advice=advice)]) from None


def sound(
    records: Iterable[list[str]], first: int, judge: Callable[[list[str], int], Fault | None]
) -> Iterator[list[str]]:
    """The records, of which the first one stands in line `first`; `judge` says what is wrong with one in a line.

    Raises FileRefused with the first `MOST_FAULTS` faults.
    """
    faults: list[Fault] = []
    for line, record in enumerate(records, first):
        if (fault := judge(record, line)) is None:
            if not faults:
                yield record
        else:
            faults.append(fault)
            if len(faults) == MOST_FAULTS:
                break
    if faults:
        raise FileRefused(faults)


def kept(contract: Contract, columns: Sequence[str], rows: Iterator[list[str]]) -> Sequence[list[str]]:
    """All rows, with our values for the partner's codes; many of them are kept by column."""
    pieces: list[Columns] = []
    while True:
        some = list(islice(rows, _MANY))
        contract.translate(columns, some, inbound=True)
        if not pieces and len(some) < _MANY:
            return some
        pieces.append(Columns.of(some, len(columns)))
        if len(some) < _MANY:
            return Columns.joined(pieces)
