"""Functions at which a process dies, as by a kill that nobody can foresee."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import wraps
from typing import Any

BEFORE, AFTER = "before", "after"


def deadly(function: Callable[..., Any], when: str, call: int) -> Callable[..., Any]:
    """The function, which ends its process with SIGKILL before or after it is called for the so-manieth time."""
    calls = 0

    @wraps(function)
    def dies(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and when == BEFORE:
            os.kill(os.getpid(), signal.SIGKILL)
        done = function(*arguments, **named)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    return dies
