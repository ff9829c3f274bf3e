"""Large ReKu deliveries of invented people in cp1252; about 0.6 % of the rows are bad, in every way a rule knows."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain
from pathlib import Path

from reku.catalogue import media
from reku.foundation import clock
from reku.gate.predicates import Expected
from reku.gate.rule_files import rules_for
from reku.gate.rules import Rule
from reku.records import Contract, contracts, format_date, format_moment

ENCODING = "cp1252"
ENVIRONMENT = "T"
BLZ, ORDER, OCCASION = "99990001", "R0004711", "MCAG002"
ONE_IN = 167
"""Of so many rows one is bad."""

_FIRST = ("Jördis", "Bernd", "Zoë", "Jürgen", "Anna")
_LAST = ("Beispiel-Müßig", "Muster", "Schäfer", "Öztürk", "Testmann", "von der Höhe")
_BAD = (
    {"Referenz": f"{ORDER}-000017-0000001"},
    {"Referenz": ""},
    {"Personennummer": " "},
    {"Personennummer": "0000000001"},
    {"Anlass_Code": "MCAG02"},
    {"Anlass_Code": "MCAG003"},
    {"Anlass_Datum": "31.02.2026"},
    {"Anlass_Datum": "01.01.1850"},
    {"Anlass_Datum": "24.11.1976"},
    {"Anlass_Wert": "055"},
    {"Anlass_Wert": "55"},
    {"Anrede": "9"},
    {"Anrede": "4"},
    {"Vorname": "x" * 61},
    {"Nachname": ""},
    {"EMail": "kaputt@"},
    {"EMail": "zwei..punkte@kunde.example"},
    {"EMail": "a b@kunde.example"},
    {"EMail": ""},
    {"Einwilligung_EMail": "x"},
    {"Tracking_Einwilligung": "j"},
    {"Produkt_Text": "Sparplan 1234567890"},
    {"Berater_E-Mail": "niemand"},
)


def contract() -> Contract:
    """The contract of these deliveries: the project's, agreed in cp1252."""
    return contracts()["REKU"].model_copy(update={"encodings": (ENCODING,)})


def rules() -> tuple[Rule, ...]:
    """All rules that these deliveries are held against."""
    return rules_for(contract(), OCCASION)


def expected() -> Expected:
    """What else they are held against."""
    return Expected(BLZ, ORDER, OCCASION, frozenset(media()), must_choose=False, day=clock.today())


def write(file: Path, rows: int) -> None:
    """Write a delivery of so many rows, block by block."""
    names = [column.name for column in contract().columns]
    head = ("V", "REKU", "1", BLZ, ORDER, "000017", format_moment(clock.now()), "FI", "EMMA", ENVIRONMENT)
    checksum = hashlib.sha256()
    with file.open("wb") as out:
        for block in _blocks(chain((head, ("K", *names)), _records(rows))):
            checksum.update(block)
            out.write(block)
        out.write(f"N;{rows};{checksum.hexdigest()}\r\n".encode())


def _blocks(records: Iterable[tuple[str, ...]]) -> Iterator[bytes]:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    for number, record in enumerate(records):
        writer.writerow(record)
        if number % 10_000 == 9_999:
            yield text.getvalue().encode(ENCODING)
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode(ENCODING)


def _records(rows: int) -> Iterator[tuple[str, ...]]:
    names = [column.name for column in contract().columns]
    today = clock.today()
    days = [format_date(today + timedelta(days=number)) for number in range(28)]
    for number in range(1, rows + 1):
        first, last = _FIRST[number % len(_FIRST)], _LAST[number % len(_LAST)]
        fields = {
            "Referenz": f"{ORDER}-000017-{number:07d}",
            "Personennummer": f"{number:010d}",
            "Anlass_Code": OCCASION,
            "Anlass_Datum": days[number % 28],
            "Anlass_Wert": str(30 + number % 6 * 10),
            "Anrede": str(1 + number % 3),
            "Vorname": first,
            "Nachname": last,
            "Briefanrede": f"Guten Tag {first} {last}",
            "EMail": f"person{number}.{number % 97}@kunde{number % 800}.example",
            "Einwilligung_EMail": "JN"[number % 11 == 0],
            "Tracking_Einwilligung": ("J", "N", "")[number % 3],
            "Produkt_Text": 'Sparplan "Zukunft; flexibel"' if number % 40 == 0 else "",
            "Geschaeftsstelle": f"Filiale {number % 60}",
            "Berater_Nr": f"B{number % 300:04d}",
            "Berater_Absendername": "Ole Muster",
            "Berater_E-Mail": f"berater{number % 300}@sparkasse.example",
            "Berater_Telefon": "+49 99 000000",
        }
        if number % ONE_IN == 0:
            fields |= _BAD[number // ONE_IN % len(_BAD)]
        yield ("D", *(fields.get(name, "") for name in names))
