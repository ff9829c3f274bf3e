"""A disk without room, for what is appended to files while others go on writing to it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from reku.foundation.append_log import AppendLog


@contextmanager
def full_disk() -> Iterator[None]:
    """Nothing more can be appended to the journals of this process, in whichever thread they are written.

    At this edge and not at their descriptors: another thread may close one at any moment, and its number is then that
    of the next file or connection that is opened.
    """

    def refuse(_log: AppendLog, _lines: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AppendLog, "append", refuse)
        yield
