"""psql's \\copy of rows into a file, which files of ours are held against."""

from __future__ import annotations

import subprocess
import time

from reku.bench.world import World
from reku.foundation.errors import SetupError
from reku.runtime.places import account
from reku.runtime.postgres import reachable_programs


def copied_out(there: World, query: str, rows: int) -> float:
    """Seconds that psql takes to write the rows of a query, one line, as a CSV.

    Raises SetupError unless they are so many.
    """
    target = there.folder / "peer.csv"
    url = there.environment["REKU_DATABASE_URL"].replace("+psycopg", "")
    psql = reachable_programs(account()) / "psql"
    command = f"\\copy ({query}) TO '{target}' (FORMAT csv, DELIMITER ';')"
    begun = time.perf_counter()
    subprocess.run([psql, url, "-qc", command], check=True)  # noqa: S603 - our own words
    seconds = time.perf_counter() - begun
    with target.open("rb") as file:
        if sum(1 for _ in file) != rows:
            raise SetupError("psql has not copied the same rows: there is nothing to be held against.")
    return seconds
