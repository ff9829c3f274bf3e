"""A process that takes in a cooperative bank's data and is killed with SIGKILL at a named point."""

from __future__ import annotations

import os
from typing import Any

from reku.catalogue import institutes
from reku.foundation import storage
from reku.sources.agree21 import customer_rows, import_file, scan
from reku.sources.inbox import filing
from reku.sources.inbox.folders import InboxFolders
from reku.store.engine import engine
from reku_testing.deadly import AFTER, BEFORE, deadly
from reku_testing.world import BLZ

POINTS: dict[str, tuple[Any, str, str, int]] = {
    # point: owner and name of a function, and at which of its calls, before or after it, the process dies
    "before it is claimed": (InboxFolders, "claim", BEFORE, 1),
    "after it is claimed": (InboxFolders, "claim", AFTER, 1),
    "people written, addresses not": (customer_rows, "_write_addresses", BEFORE, 1),
    "addresses written, not on record": (import_file, "write_customers", AFTER, 1),
    "on record, not committed": (scan, "note_import", AFTER, 1),
    "committed, original still there": (filing, "finalise", BEFORE, 1),
    "original gone, receipt half written": (storage.os, "fsync", BEFORE, 1),
}


def main(environment: dict[str, str], point: str) -> None:
    """Take in what has arrived, in a process that was forked from a server."""
    os.environ.clear()
    os.environ.update(environment)
    owner, name, when, call = POINTS[point]
    setattr(owner, name, deadly(getattr(owner, name), when, call))
    scan.take_in(engine(), institutes()[BLZ])
