"""Writing an exchanged file: the exact inverse of `reader.read`.

The same head, columns and rows always give the same bytes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

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

_CONTROL = re.compile(f"[{CONTROL}]")
_FORBIDDEN = re.compile(f"[\n{CONTROL}]")
_ASCII_CONTROL = bytes(number for number in range(128) if _CONTROL.match(chr(number)))
_FIRST = 3
"""Line of the first D record."""


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
    contract's first. Characters that it lacks are replaced by close ones in columns marked `transliterate`, in a file
    that goes out by `?` where there is none.

    Raises FileRefused, naming line and field, for whatever `read` would refuse: a wrong head, missing columns, rows of
    another width, control characters, over-long lines, and characters the encoding lacks in all other columns.
    Raises RekuError for an `encoding` that the contract does not allow.
    """
    encoding = agreed_encoding(contract, encoding)
    values = [list(row) for row in rows]
    body = ((len(part), _records(contract, columns, part, _FIRST, encoding)) for part in [values])
    return b"".join(_framed(contract, head, columns, encoding, body))


def write_csv(
    contract: Contract,
    head: Head,
    columns: Sequence[str],
    batches: Iterable[list[bytes]],
    *,
    encoding: str | None = None,
) -> Iterator[bytes]:
    """The same file as `write` makes, block by block, from D records that the database has put into words.

    `batches` of lines as `COPY … TO STDOUT (FORMAT csv)` gives them with the contract's delimiter and in UTF-8: `D` and
    the values in the order of `columns`, closed by a line feed. They are read as they are needed, so that a file of a
    million rows takes no more memory than one of a thousand.

    Raises what `write` raises, on the way; what has been yielded until then is no whole file.
    """
    encoding = agreed_encoding(contract, encoding)
    return _framed(contract, head, columns, encoding, _blocks(contract, columns, batches, encoding))


def _framed(
    contract: Contract, head: Head, columns: Sequence[str], encoding: str, body: Iterable[tuple[int, bytes]]
) -> Iterator[bytes]:
    """Head, body (bytes of so many D records each) and closing record."""
    leading = _leading_record(head)
    head_of(contract, leading, head.environment, {})
    columns_of(contract, ["K", *columns], line=2)
    data = _encoded_head(contract, leading, columns, encoding)
    check_sum, count = hashlib.sha256(data), 0
    yield data
    for records, data in body:
        check_sum.update(data)
        count += records
        yield data
    yield _text(contract, [["N", str(count), check_sum.hexdigest()]]).encode(encoding)


def _blocks(
    contract: Contract, columns: Sequence[str], batches: Iterable[list[bytes]], encoding: str
) -> Iterator[tuple[int, bytes]]:
    first = _FIRST
    for lines in batches:
        yield (
            len(lines),
            _as_it_is(contract, lines, encoding) or _taken_apart(contract, columns, lines, first, encoding),
        )
        first += len(lines)


def _as_it_is(contract: Contract, lines: list[bytes], encoding: str) -> bytes | None:
    """The D records as they stand in the file, or None if they have to be looked at one by one.

    PostgreSQL and the csv module quote the same values in the same way; only the line ends differ.
    """
    data = b"".join(lines)
    text = data.decode()
    # Ten times as fast as the regular expression, which is left with what is beyond ASCII.
    controls = len(data.translate(None, _ASCII_CONTROL)) < len(data) or (not data.isascii() and _CONTROL.search(text))
    if (
        any(column.codes for column in contract.columns)
        or text.count("\n") != len(lines)
        or controls
        # Every value adds at least its delimiter, so this is more than what `_check` allows.
        or 3 * max(map(len, lines)) > LONGEST_LINE
    ):
        return None
    try:
        return text.replace("\n", "\r\n").encode(encoding)
    except UnicodeEncodeError:
        return None


def _taken_apart(contract: Contract, columns: Sequence[str], lines: list[bytes], first: int, encoding: str) -> bytes:
    for line, record in enumerate(lines, first):
        if len(record) > csv.field_size_limit():
            raise _too_long(line)
    text = io.StringIO(b"".join(lines).decode(), newline="")
    rows = [record[1:] for record in csv.reader(text, delimiter=contract.delimiter, strict=True)]
    return _records(contract, columns, rows, first, encoding)


def _records(contract: Contract, columns: Sequence[str], rows: list[list[str]], first: int, encoding: str) -> bytes:
    """The bytes of D records, of which the first stands in line `first`; codes are put into `rows` in place."""
    _check(rows, columns, first)
    contract.translate(columns, rows, inbound=False)
    records = [["D", *row] for row in rows]
    try:
        return _text(contract, records).encode(encoding)
    except UnicodeEncodeError:
        return _text(contract, _encodable(contract, columns, records, first, encoding)).encode(encoding)


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


def _check(rows: list[list[str]], columns: Sequence[str], first: int) -> None:
    for line, row in enumerate(rows, first):
        if len(row) != len(columns):
            advice = f"Der Satz hat {len(row)} Werte, der Spaltensatz nennt {len(columns)}."
            raise FileRefused([Fault(FaultCode.ZELLENZAHL, line, advice=advice)])
        if _FORBIDDEN.search("".join(row)):
            field = next(name for name, value in zip(columns, row, strict=True) if _FORBIDDEN.search(value))
            advice = "Steuerzeichen und Zeilenumbrüche sind nicht erlaubt."
            raise FileRefused([Fault(FaultCode.STEUERZEICHEN, line, field, advice)])
        # Quotes are doubled and values put between quotes: a line is at most so long.
        if 2 * sum(map(len, row)) + 3 * len(row) + 1 > LONGEST_LINE:
            raise _too_long(line)


def _too_long(line: int) -> FileRefused:
    return FileRefused([Fault(FaultCode.SATZ_ZU_LANG, line, advice="Der Satz ist zu lang.")])


def _encoded_head(contract: Contract, leading: list[str], columns: Sequence[str], encoding: str) -> bytes:
    try:
        return _text(contract, [leading, ["K", *columns]]).encode(encoding)
    except UnicodeEncodeError:
        advice = f"Kopfsatz oder Spaltennamen enthalten ein Zeichen, das {encoding} nicht kennt."
        raise FileRefused([Fault(FaultCode.ZEICHENSATZ, 1, advice=advice)]) from None


def _encodable(
    contract: Contract, columns: Sequence[str], records: list[list[str]], first: int, encoding: str
) -> list[list[str]]:
    """The records with replaced characters. Refuses a character that the encoding lacks in keys and addresses."""
    known = [contract.column(name) for name in columns]
    faults: list[Fault] = []
    fitted = []
    for line, record in enumerate(records, first):
        values = ["D"]
        for column, name, value in zip(known, columns, record[1:], strict=True):
            try:
                values.append(_fitted(contract, column, value, encoding))
            except UnicodeEncodeError:
                advice = f"Der Wert enthält ein Zeichen, das {encoding} nicht kennt."
                faults.append(Fault(FaultCode.ZEICHENSATZ, line, name, advice))
        fitted.append(values)
    if faults:
        raise FileRefused(faults)
    return fitted


def _fitted(contract: Contract, column: Column | None, value: str, encoding: str) -> str:
    if column is not None and column.transliterate:
        try:
            return transliterate(value, encoding)
        except UnicodeEncodeError:
            if contract.direction != "out":
                raise
            # One value must not keep a bank's response files back: the gate has let it in, so it is told all the same.
            return value.encode(encoding, "replace").decode(encoding)
    value.encode(encoding)
    return value
