"""How large a PNG or JPEG is, by its head: nothing is unpacked, so nothing can be too large to look at."""

from __future__ import annotations

from struct import error as StructError
from struct import unpack_from

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
"""How they begin."""
_FRAMES_OF_JPEG = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def sides(content: bytes) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG or JPEG, or None if it is neither."""
    try:
        if content.startswith(PNG) and content[12:16] == b"IHDR" and content.endswith(b"IEND\xaeB`\x82"):
            width, height = unpack_from(">II", content, 16)
            return width, height
        return _sides_of_jpeg(content) if content.startswith(JPEG) else None
    except (StructError, IndexError):
        return None


def _sides_of_jpeg(content: bytes) -> tuple[int, int] | None:
    place = 2
    while content[place] == 0xFF:
        kind = content[place + 1]
        length, _, height, width = unpack_from(">HBHH", content, place + 2)
        if kind in _FRAMES_OF_JPEG:
            return width, height
        place += 2 + length
    return None
