"""Reading a large file by column, as long as nothing at all is unusual about it.

`reader` is the authority on what is wrong with a file and puts it into words. Whatever this module cannot be sure of it
leaves to it, so that both give the same rows or the same refusal.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from reku.records.columns import Columns
from reku.records.record_file import CONTROL

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 4_000_000
"""Bytes that are looked at and parsed at a time."""

_CONTROL = re.compile(f"[{CONTROL}]")
_WIDE_CONTROL = re.compile(rb"\xc2[\x80-\x9f]")
_SEPARATORS = ("\u2028".encode(), "\u2029".encode())
"""With `_WIDE_CONTROL` all control characters beyond ASCII, in utf-8."""


def read_rows(
    data: bytes, place: slice, encoding: str, delimiter: str, width: int, longest_line: int
) -> Columns | None:
    """The values of D records of `width` values each; None if a line is anything else than a flawless D record.

    `place` is where in `data` they stand: whole lines, the last one with its end.
    """
    import pyarrow as pa

    tables = []
    for block in _blocks(data, place.start, place.stop):
        # More lines than D records fit in: to look at each would take many times the block's room.
        if block.count(b"\n") * (width + len("D\n")) > len(block):
            return None
        if not _is_clean(block, encoding, delimiter, longest_line) or not _quotes_are_sound(block, encoding, delimiter):
            return None
        table = _parsed(block, encoding, delimiter, width)
        if table is None:
            return None
        tables.append(table)
    return Columns(pa.concat_tables(tables)) if tables else None


def _blocks(data: bytes, start: int, stop: int) -> Iterator[bytes]:
    """Parts of about `_BLOCK` bytes that end with a line."""
    while start < stop:
        end = data.find(b"\n", min(start + _BLOCK, stop) - 1) + 1
        yield data[start:end]
        start = end


def _is_clean(block: bytes, encoding: str, delimiter: str, longest_line: int) -> bool:
    """Whether no line is too long and nothing in it is a control character, a CR without its LF, or undecodable.

    Broken utf-8 is left to Arrow. A line is measured in bytes, of which it has at least as many as characters.
    """
    import numpy as np

    view = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(view == ord("\n"))
    if np.diff(ends, prepend=-1, append=len(block)).max() > longest_line:
        return False
    returns = b"\r" * np.count_nonzero(view[ends - 1] == ord("\r"))
    if block.translate(None, _allowed(encoding, delimiter)) != returns:
        return False
    return encoding != "utf-8" or not (
        _WIDE_CONTROL.search(block) or any(separator in block for separator in _SEPARATORS)
    )


@cache
def _allowed(encoding: str, delimiter: str) -> bytes:
    """The bytes that a file may hold, besides the CR of a line's end."""
    if encoding == "utf-8":
        return bytes(code for code in range(256) if code >= 0x80 or _may_stand(chr(code), delimiter))
    characters = (bytes([code]).decode(encoding, "ignore") for code in range(256))
    return bytes(code for code, character in enumerate(characters) if character and _may_stand(character, delimiter))


def _may_stand(character: str, delimiter: str) -> bool:
    return character == delimiter or not _CONTROL.match(character)


def _quotes_are_sound(block: bytes, encoding: str, delimiter: str) -> bool:
    """Whether every line with a quote is one record by itself: Arrow would put up with quotes that csv does not."""
    lines = list(_quoted_lines(block, encoding))
    try:
        return sum(1 for _ in csv.reader(lines, delimiter=delimiter, strict=True)) == len(lines)
    except csv.Error:
        return False


def _quoted_lines(block: bytes, encoding: str) -> Iterator[str]:
    place = block.find(b'"')
    while place != -1:
        start, end = block.rfind(b"\n", 0, place) + 1, block.index(b"\n", place)
        yield block[start:end].removesuffix(b"\r").decode(encoding, "replace")
        place = block.find(b'"', end)


def _parsed(block: bytes, encoding: str, delimiter: str, width: int) -> pa.Table | None:
    """The values of the block's records; None if one is no D record of `width` values, or not utf-8 as it should be."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv as arrow_csv

    if block.startswith(b"\xef\xbb\xbf"):
        return None  # Arrow would leave it out
    names = ["kind", *(str(number) for number in range(width))]
    try:
        table = arrow_csv.read_csv(
            pa.py_buffer(block),
            read_options=arrow_csv.ReadOptions(column_names=names),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, quote_char='"' if b'"' in block else False, ignore_empty_lines=False
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                check_utf8=encoding == "utf-8",
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    if not pc.all(pc.equal(table.column("kind"), "D")).as_py():
        return None
    table = table.drop_columns("kind")
    if encoding == "utf-8" or block.isascii():
        return table
    return pa.table([_decoded(column, encoding) for column in table.columns], table.column_names)


def _decoded(column: pa.ChunkedArray, encoding: str) -> pa.Array | pa.ChunkedArray:
    """The column in utf-8; each different value is decoded once, and none if all are ASCII."""
    import pyarrow as pa

    if all(_is_ascii(chunk.buffers()[-1]) for chunk in column.chunks):
        return column
    values = column.combine_chunks().dictionary_encode()
    raw = values.dictionary.view(pa.binary()).to_pylist()
    return pa.array([value.decode(encoding) for value in raw], pa.string()).take(values.indices)


def _is_ascii(buffer: pa.Buffer | None) -> bool:
    import numpy as np

    return buffer is None or bool(np.frombuffer(buffer, np.int8).min(initial=0) >= 0)
