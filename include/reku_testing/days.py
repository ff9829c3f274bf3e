"""A day's work of an occasion in this process, as tests drive it: the clock jumps to whatever is waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from itertools import count

import sqlalchemy as sa

from reku.foundation import clock
from reku.process.answers import WaitUntil
from reku.process.ownership import OwningRun
from reku.process.run_day import DayResult, Pause, Person, Wait, nobody, run_day
from reku.process.stages import STAGES
from reku_testing.bank_files import OCCASION

_runs = count(1)


def jumping(move: Callable[[datetime], None]) -> Pause:
    """A pause that moves the clock to the first moment at which a wait ends."""

    def pause(waits: Sequence[Wait]) -> bool:
        move(min(wait.moment if isinstance(wait, WaitUntil) else wait.deadline for wait in waits))
        return True

    return pause


def work(
    engine: sa.Engine,
    move: Callable[[datetime], None],
    *,
    day: date | None = None,
    occasion: str = OCCASION,
    person: Person = nobody,
    pause: Pause | None = None,
    stages: Sequence[str] = STAGES,
) -> DayResult:
    """One run of a day's work, today's if none is named; every earlier run has ended."""
    owner = OwningRun("tests", f"run {next(_runs)}")
    return run_day(
        engine,
        occasion,
        day or clock.today(),
        owner=owner,
        is_alive=lambda _run: False,
        pause=pause or jumping(move),
        person=person,
        stages=stages,
    )
