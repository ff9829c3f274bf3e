"""Things from outside are handled one by one: whatever one of them raises is told, and the others go on.

The one guard under every loop over files, mails, journals, rows and banks that others have made. What goes wrong with
one thing is no reason to leave the next one, whatever kind of error it is.
"""

from __future__ import annotations

import errno
import logging
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from reku.foundation.errors import ConfigError, PassingError, RekuError, SetupError

log = logging.getLogger(__name__)

Thing = TypeVar("Thing")
_Thing_co = TypeVar("_Thing_co", covariant=True)

MOST_TRIES = 3
"""So often a thing is tried before it is set aside."""

_OF_THE_MACHINE = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
        *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN),
    }
)
"""Errors of the system that speak of a disk, a network or the machine, not of one file."""

_OF_THE_DATABASE = ("08", "25", "40", "53", "55", "57", "58", "F0", "XX")
"""Classes of SQLSTATE that speak of the server or of others at work there, not of the values of a statement."""


@dataclass(frozen=True)
class Failure(Generic[_Thing_co]):
    """What went wrong with one thing. `name`: how people find it, with nothing about persons in it."""

    thing: _Thing_co
    name: str
    error: Exception

    @property
    def why(self) -> str:
        """A sentence for people; an error that is not ours may quote values, so only its kind and place are told."""
        return told(self.error)

    @property
    def is_its_own(self) -> bool:
        """Whether the thing itself is at fault, as far as one can tell: then trying it for ever helps nobody.

        Not its own are a setting or file of the configuration that is wrong, and whatever speaks of the database, the
        storage or the machine: that is to be mended, and every other thing would fail in the same way.
        """
        error = self.error
        if isinstance(error, ConfigError | SetupError | PassingError | ConnectionError | TimeoutError):
            return False
        if isinstance(error, OSError):
            return error.errno is not None and error.errno not in _OF_THE_MACHINE
        return not is_of_the_database(error)


def is_of_the_database(error: Exception) -> bool:
    """Whether an error, of SQLAlchemy or psycopg, says that the database is away or busy, whatever it was asked."""
    if not type(error).__module__.startswith(("sqlalchemy.", "psycopg.")):
        return False
    if getattr(error, "connection_invalidated", False):
        return True
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    if state is None:  # no server has answered; errors of values that were never sent are none of the database's
        return type(getattr(error, "orig", error)).__name__ in ("OperationalError", "InterfaceError", "TimeoutError")
    return str(state).startswith(_OF_THE_DATABASE)


class Budget:
    """How long one bank, mailbox or run may work at a time, in seconds of the real clock; the rest waits."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def is_used_up(self) -> bool:
        """Whether it is over. What is begun is ended."""
        return time.monotonic() >= self._until


@dataclass
class HandledResult(Generic[Thing]):
    """What handling many things came to. `left`: those that were not begun, since it was enough."""

    failures: list[Failure[Thing]] = field(default_factory=list)
    left: list[Thing] = field(default_factory=list)


def one_by_one(
    things: Iterable[Thing],
    handle: Callable[[Thing], object],
    *,
    named: Callable[[Thing], str],
    stops: Callable[[Exception], bool] = lambda _: False,
    is_enough: Callable[[], bool] = lambda: False,
) -> HandledResult[Thing]:
    """Handle each thing; one that raises is noted and logged, and the next one follows.

    An error that `stops` says yes to is raised: nothing could be done for the others either. Once it `is_enough`, as
    by a `Budget`, the things that are left are handed back untouched.
    """
    result = HandledResult[Thing]()
    for thing in things:
        if is_enough():
            result.left.append(thing)
            continue
        try:
            handle(thing)
        except Exception as error:
            failure = Failure(thing, named(thing), error)
            log.warning("%s failed at %s", failure.name, place_of(error))
            if stops(error):
                raise
            result.failures.append(failure)
    return result


def told(error: Exception) -> str:
    """A sentence about an error: its own text where it is ours, the system's word for one of a file, else its kind."""
    if isinstance(error, RekuError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    if (refused := getattr(error, "orig", None)) is not None:
        return f"The database refused ({type(refused).__name__} at {place_of(error)})."
    return f"{type(error).__name__} at {place_of(error)}."


def place_of(error: Exception) -> str:
    """File and line of the last of our own frames that an error went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "reku" in Path(frame.filename).parts] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "a place unknown"
