"""Archives of others: broken ones, and those that would fill a memory."""

from __future__ import annotations

import gzip
import random
import tracemalloc

import pytest

from reku.foundation.unpacking import ArchiveTooDense, ArchiveTooLarge, BrokenArchive, unpack

MB = 1_000_000
NOISE = random.Random(7).randbytes(2 * MB)  # noqa: S311 # the same in each run
PACKED = gzip.compress(NOISE)


@pytest.mark.parametrize("data", [b"", b"x", NOISE, b"x" * MB], ids=["empty", "one", "noise", "repeated"])
def test_what_was_packed_comes_out(data: bytes) -> None:
    assert unpack(gzip.compress(data), 3 * MB) == data


def test_archives_in_a_row_are_one() -> None:
    assert unpack(gzip.compress(b"one") + gzip.compress(b"two"), MB) == b"onetwo"


@pytest.mark.parametrize(
    "data",
    [b"plain text", PACKED[:-1], PACKED[:40], PACKED[:50] + b"\0" + PACKED[51:], PACKED[:-8] + bytes(8)],
    ids=["none", "cut", "cut early", "a byte changed", "check sum changed"],
)
def test_a_broken_one_is_told(data: bytes) -> None:
    with pytest.raises(BrokenArchive):
        unpack(data, 3 * MB)


def test_the_last_byte_that_is_allowed() -> None:
    assert unpack(PACKED, 2 * MB) == NOISE
    with pytest.raises(ArchiveTooLarge) as error:
        unpack(PACKED, 2 * MB - 1)
    assert error.type is ArchiveTooLarge


def test_a_bomb_is_refused_and_never_unpacked() -> None:
    """A thousandth of its contents; 50 MB are allowed."""
    bomb = gzip.compress(bytes(40 * MB))
    assert len(bomb) < 40 * MB / 900
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveTooDense):
            unpack(bomb, 50 * MB)
        assert tracemalloc.get_traced_memory()[1] < 20 * MB
    finally:
        tracemalloc.stop()
