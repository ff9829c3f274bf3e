"""The one clock of all stages: people and files live in Europe/Berlin, the database in UTC.

Every stage asks `now()`. The demo and the tests move the clock by a small file named in `REKU_CLOCK_FILE`, which
all processes read; without it the clock is the machine's.
"""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")
CLOCK_FILE_VARIABLE = "REKU_CLOCK_FILE"


def now() -> datetime:
    """The present moment in UTC, moved if a clock file says so."""
    real = time.time()
    moved = os.environ.get(CLOCK_FILE_VARIABLE)
    if moved:
        try:
            setting = json.loads(Path(moved).read_text(encoding="ascii"))
        except FileNotFoundError:
            setting = None
        if setting is not None:
            real = setting["shown"] + (real - setting["set_at"])
    return datetime.fromtimestamp(real, UTC)


def is_moved() -> bool:
    """Whether this process lives by a moved clock (demo, tests)."""
    return bool(os.environ.get(CLOCK_FILE_VARIABLE))


def berlin(moment: datetime) -> datetime:
    """The moment as people in Germany read it.

    Raises ValueError for a moment without a zone: it would be taken for the machine's local time.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a moment without a time zone: {moment!r}")
    return moment.astimezone(BERLIN)


def today() -> date:
    """The calendar day in Berlin."""
    return berlin(now()).date()


def at(day: date, hour: int = 0, minute: int = 0) -> datetime:
    """The UTC moment of a Berlin wall-clock time (the first one, where the hour comes twice)."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=BERLIN).astimezone(UTC)


def move(file: Path, shown: datetime) -> None:
    """Let every process that reads `file` see `shown` as the present; time runs on from there."""
    setting = {"shown": shown.timestamp(), "set_at": time.time()}
    draft = file.with_suffix(".tmp")
    draft.write_text(json.dumps(setting), encoding="ascii")
    draft.replace(file)
