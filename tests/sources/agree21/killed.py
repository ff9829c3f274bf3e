"""Processes at work for a cooperative bank that are killed with SIGKILL at a named point."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from reku.catalogue import institutes
from reku.foundation import clock, storage
from reku.sources.agree21 import customer_rows, import_file, other_rows, scan, selection
from reku.sources.inbox import filing
from reku.sources.inbox.folders import InboxFolders
from reku.store.engine import engine
from reku.vault import pseudonym_rotation, rotation
from reku_testing.deadly import AFTER, BEFORE, deadly
from reku_testing.world import BLZ

Points = dict[str, tuple[Any, str, str, int]]
"""Point: owner and name of a function, and at which of its calls, before or after it, the process dies."""

CUSTOMERS: Points = {
    "before it is claimed": (InboxFolders, "claim", BEFORE, 1),
    "after it is claimed": (InboxFolders, "claim", AFTER, 1),
    "people written, addresses not": (customer_rows, "_merge_addresses", BEFORE, 1),
    "addresses written, not on record": (import_file, "write_customers", AFTER, 1),
    "on record, not committed": (scan, "note_import", AFTER, 1),
    "committed, original still there": (filing, "finalise", BEFORE, 1),
    "original gone, receipt half written": (storage.os, "fsync", BEFORE, 1),
}
OTHERS: Points = {
    "before it is claimed": (InboxFolders, "claim", BEFORE, 1),
    "after it is claimed": (InboxFolders, "claim", AFTER, 1),
    "changed ones written, new ones not": (other_rows, "add_new", BEFORE, 1),
    "on record, not committed": (scan, "note_import", AFTER, 1),
    "committed, original still there": (filing, "finalise", BEFORE, 1),
}
SELECTION: Points = {
    "registered, without rows": (selection, "_register", AFTER, 1),
    "rows written, impulses not noted": (selection, "write_rows", AFTER, 1),
    "impulses noted, funnel not written": (selection, "note_selected", AFTER, 1),
    "committed, not answered": (selection, "obtain", AFTER, 1),
}
VAULT_KEY: Points = {
    "one wrapped anew, not committed": (rotation, "_rewrap_some", AFTER, 1),
    "one committed, another not": (rotation, "_rewrap_some", AFTER, 2),
    "committed all, not on record": (rotation, "put_on_record", BEFORE, 1),
}
PSEUDONYM_KEY: Points = {
    "one table rewritten": (pseudonym_rotation, "rewrite", AFTER, 1),
    "all tables rewritten, the key not noted": (
        pseudonym_rotation,
        "rewrite",
        AFTER,
        len(pseudonym_rotation.pseudonym_tables()),
    ),
    "on record, not committed": (pseudonym_rotation, "put_on_record", AFTER, 1),
}
COMMITTED = ("committed", "original gone", "one committed")
"""How points begin at which something was committed."""


def take_in() -> None:
    """Take in what has arrived."""
    scan.take_in(engine(), institutes()[BLZ])


def select() -> None:
    """Select for the first order."""
    selection.obtain(engine(), 1, clock.today())


def rotate_key() -> None:
    """Wrap the data keys anew."""
    rotation.rotate(engine(), actor="probe")


def rotate_pseudonyms() -> None:
    """Make the bank's pseudonyms anew."""
    pseudonym_rotation.rotate_pseudonyms(engine(), BLZ, actor="probe")


ACTS: dict[str, tuple[Callable[[], None], Points]] = {
    "customers": (take_in, CUSTOMERS),
    "holdings": (take_in, OTHERS),
    "appointments": (take_in, OTHERS),
    "impulses": (take_in, OTHERS),
    "selection": (select, SELECTION),
    "rotate-key": (rotate_key, VAULT_KEY),
    "rotate-pseudonyms": (rotate_pseudonyms, PSEUDONYM_KEY),
}


def main(environment: dict[str, str], what: str, point: str) -> None:
    """Do something until it dies at that point, in a process that was forked from a server."""
    os.environ.clear()
    os.environ.update(environment)
    rotation.AT_ONCE = 1  # each data key in a transaction of its own
    act, points = ACTS[what]
    owner, name, when, call = points[point]
    setattr(owner, name, deadly(getattr(owner, name), when, call))
    act()
