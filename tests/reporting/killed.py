"""A process that exports and is killed with SIGKILL at a named point."""

from __future__ import annotations

import os
from typing import Any

import paramiko

from reku.foundation import sftp, storage
from reku.reporting import export as exporting
from reku.store.engine import engine
from reku_testing.by_blz import export
from reku_testing.deadly import AFTER, BEFORE, deadly

POINTS: dict[str, tuple[Any, str, str, int]] = {
    # point: owner and name of a function, and at which of its calls, before or after it, the process dies
    "within the transaction": (exporting, "_fill_series", AFTER, 1),
    "before the transaction ends": (exporting, "FeedbackFile", AFTER, 1),
    "after the transaction": (exporting, "_write", BEFORE, 1),
    "draft on disk": (storage.os, "fsync", BEFORE, 1),
    "before the rename": (storage.Path, "replace", BEFORE, 1),
    "after the rename": (storage.Path, "replace", AFTER, 1),
    "before it is recorded": (exporting, "_put", AFTER, 1),
    "during the upload": (paramiko.SFTPFile, "write", AFTER, 2),
    "before the rename there": (sftp.Sftp, "_rename", BEFORE, 1),
    "after the rename there": (sftp.Sftp, "_rename", AFTER, 1),
}


def main(environment: dict[str, str], point: str, institute: str, order: int | None, daily: bool) -> None:
    """Export in a process that was forked from a server; without a point nobody is killed."""
    os.environ.clear()
    os.environ.update(environment)
    if point:
        owner, name, when, call = POINTS[point]
        setattr(owner, name, deadly(getattr(owner, name), when, call))
    export(engine(), institute, order_id=order, daily=daily)
