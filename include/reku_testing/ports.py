"""Free ports for tests that must know one before anybody listens there."""

from __future__ import annotations

import os
import socket
from itertools import count

from reku.runtime.ports import is_free

_FIRST, _LAST = 20_000, 30_000  # below those that the kernel gives to whoever asks for any
_reserved: list[socket.socket] = []
_numbers = count(os.getpid() * 7)  # begins elsewhere in each process, so that a search is short


def free_port() -> int:
    """A port that nobody listens on, and that no other worker and no other run on this machine is given.

    It is reserved until this process ends, by a name that only one process can hold and that goes with its process.
    """
    for number in _numbers:
        port = _FIRST + number % (_LAST - _FIRST)
        reserved = socket.socket(socket.AF_UNIX)
        try:
            reserved.bind(f"\0reku-tests-port-{port}")
        except OSError:
            reserved.close()
            continue
        _reserved.append(reserved)
        if is_free(port):
            return port
    raise AssertionError("count() has no end")
