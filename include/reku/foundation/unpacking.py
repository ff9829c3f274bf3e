"""Unpacking gzip archives of others, which may be broken, or far larger than they look."""

from __future__ import annotations

import gzip
import io
import zlib

GZIP = b"\x1f\x8b"
"""How gzip archives begin (RFC 1952)."""
MOST_TIMES = 100
"""How many times the archive's bytes its contents may have: exchanged files pack to a tenth, rarely to a thirtieth."""
_SMALL = 1_000_000
"""Bytes up to which no ratio counts: little text with many repetitions packs very well."""


class BrokenArchive(ValueError):
    """No gzip archive, or an incomplete one."""


class ArchiveTooLarge(ValueError):
    """The contents have more bytes than allowed."""


class ArchiveTooDense(ArchiveTooLarge):
    """The contents have more than `MOST_TIMES` the archive's bytes, as in an archive made to fill a memory."""


def unpack(data: bytes, most: int) -> bytes:
    """The contents of a gzip archive: at most `most` bytes, and at most 100 times what the archive has.

    Never keeps more of them than that. Raises BrokenArchive, ArchiveTooLarge, ArchiveTooDense.
    """
    allowed = min(most, max(_SMALL, MOST_TIMES * len(data)))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as archive:
            contents = archive.read(allowed + 1)
    except (OSError, EOFError, zlib.error):
        raise BrokenArchive from None
    if len(contents) > allowed:
        raise ArchiveTooDense if allowed < most else ArchiveTooLarge
    return contents
