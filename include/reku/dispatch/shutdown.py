"""A request to this process to end: nothing more is begun, and what is begun is seen to its end.

Airflow asks a task to end a few seconds before it kills it; without this each mail in hand would be in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reku.foundation.errors import PassingError

_stops: list[Callable[[], None]] = []
_asked = False


class ShutdownRequested(PassingError):
    """This process was asked to end; everything not handed over is open."""

    def __init__(self) -> None:
        super().__init__(
            "The task was asked to end and has begun nothing more. What is open stays open: clear `dispatch`, and it "
            "goes on."
        )


def request_shutdown() -> None:
    """Ask every dispatch of this process to end; for signal handlers."""
    global _asked
    _asked = True
    for stop in _stops:
        stop()


def check_shutdown() -> None:
    """Raise ShutdownRequested if this process was asked to end."""
    if _asked:
        raise ShutdownRequested


@contextmanager
def on_shutdown(stop: Callable[[], None]) -> Iterator[None]:
    """Have `stop` called when this process is asked to end, at once if it was; it ends with ShutdownRequested then."""
    _stops.append(stop)
    if _asked:
        stop()
    try:
        yield
    finally:
        _stops.remove(stop)
    check_shutdown()
