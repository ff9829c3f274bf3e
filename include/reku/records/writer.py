"""Writing an exchanged file: the exact inverse of `reader.read` (domain.md 8 and 9.0).

The same head, columns and rows always give the same bytes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence

from reku.records.contract import Column, Contract
from reku.records.faults import Fault, FaultCode, FileRefused
from reku.records.parsing import LONGEST_LINE
from reku.records.reader import agreed_encoding, columns_of, head_of
from reku.records.record_file import CONTROL, Head
from reku.records.times import format_moment

_CLOSEST = str.maketrans(
    {
        "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ø": "o", "Ø": "O", "ı": "i", "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T",
        "œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ŋ": "n", "Ŋ": "N",
        "ẞ": "SS", "€": "EUR", "„": '"', "“": '"', "”": '"', "‚": "'", "‘": "'", "’": "'", "–": "-", "—": "-",
        "‐": "-", "‑": "-", "…": "...", "\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ",
    }
)  # fmt: skip
"""Letters that do not fall apart into a plain letter and an accent."""

_FORBIDDEN = re.compile(f"[\n{CONTROL}]")


def write(
    contract: Contract,
    head: Head,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    encoding: str | None = None,
) -> bytes:
    """The bytes of a V/K/D/N file with CRLF line ends, quoted only where needed, closed by count and SHA-256.

    `rows` hold the values in the order of `columns`; `encoding` is the one agreed with the institute, by default the
    contract's first. Characters that it lacks are replaced by close ones in columns marked `transliterate`.

    Raises FileRefused, naming line and field, for whatever `read` would refuse: a wrong head, missing columns, rows of
    another width, control characters, over-long lines, and characters the encoding lacks in all other columns.
    Raises RekuError for an `encoding` that the contract does not allow.
    """
    encoding = agreed_encoding(contract, encoding)
    leading = _leading_record(head)
    head_of(contract, leading, head.environment, {})
    columns_of(contract, ["K", *columns], line=2)
    values = [list(row) for row in rows]
    _check(values, columns)
    contract.translate(columns, values, inbound=False)
    records = [["D", *row] for row in values]
    try:
        body = _text(contract, [leading, ["K", *columns], *records]).encode(encoding)
    except UnicodeEncodeError:
        records = _encodable(contract, columns, records, encoding)
        body = _encoded_head(contract, leading, columns, encoding) + _text(contract, records).encode(encoding)
    closing = ["N", str(len(records)), hashlib.sha256(body).hexdigest()]
    return body + _text(contract, [closing]).encode(encoding)


def transliterate(text: str, encoding: str) -> str:
    """The text with each character that `encoding` lacks replaced by its closest (`ł` → `l`).

    Raises UnicodeEncodeError if a character has none.
    """
    return "".join(_closest(character, encoding) for character in unicodedata.normalize("NFC", text))


def _closest(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        plain = unicodedata.normalize("NFKD", character.translate(_CLOSEST))
        plain = "".join(part for part in plain if not unicodedata.combining(part))
        plain.encode(encoding)
        return plain
    return character


def _leading_record(head: Head) -> list[str]:
    return [
        "V",
        head.kind,
        head.version,
        head.institute,
        head.order_number,
        head.delivery_number,
        format_moment(head.created_at),
        head.sender,
        head.receiver,
        head.environment,
    ]


def _text(contract: Contract, records: Iterable[Sequence[str]]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=contract.delimiter, lineterminator="\r\n").writerows(records)
    return buffer.getvalue()


def _check(rows: list[list[str]], columns: Sequence[str]) -> None:
    for line, row in enumerate(rows, 3):
        if len(row) != len(columns):
            advice = f"Der Satz hat {len(row)} Werte, der Spaltensatz nennt {len(columns)}."
            raise FileRefused([Fault(FaultCode.ZELLENZAHL, line, advice=advice)])
        if _FORBIDDEN.search("".join(row)):
            field = next(name for name, value in zip(columns, row, strict=True) if _FORBIDDEN.search(value))
            advice = "Steuerzeichen und Zeilenumbrüche sind nicht erlaubt."
            raise FileRefused([Fault(FaultCode.STEUERZEICHEN, line, field, advice)])
        # Quotes are doubled and values put between quotes: a line is at most so long.
        if 2 * sum(map(len, row)) + 3 * len(row) + 1 > LONGEST_LINE:
            raise FileRefused([Fault(FaultCode.SATZ_ZU_LANG, line, advice="Der Satz ist zu lang.")])


def _encoded_head(contract: Contract, leading: list[str], columns: Sequence[str], encoding: str) -> bytes:
    try:
        return _text(contract, [leading, ["K", *columns]]).encode(encoding)
    except UnicodeEncodeError:
        advice = f"Kopfsatz oder Spaltennamen enthalten ein Zeichen, das {encoding} nicht kennt."
        raise FileRefused([Fault(FaultCode.ZEICHENSATZ, 1, advice=advice)]) from None


def _encodable(contract: Contract, columns: Sequence[str], records: list[list[str]], encoding: str) -> list[list[str]]:
    """The records with replaced characters. Refuses a character that the encoding lacks in keys and addresses."""
    known = [contract.column(name) for name in columns]
    faults: list[Fault] = []
    fitted = []
    for line, record in enumerate(records, 3):
        values = ["D"]
        for column, name, value in zip(known, columns, record[1:], strict=True):
            try:
                values.append(_fitted(column, value, encoding))
            except UnicodeEncodeError:
                advice = f"Der Wert enthält ein Zeichen, das {encoding} nicht kennt."
                faults.append(Fault(FaultCode.ZEICHENSATZ, line, name, advice))
        fitted.append(values)
    if faults:
        raise FileRefused(faults)
    return fitted


def _fitted(column: Column | None, value: str, encoding: str) -> str:
    if column is not None and column.transliterate:
        return transliterate(value, encoding)
    value.encode(encoding)
    return value
