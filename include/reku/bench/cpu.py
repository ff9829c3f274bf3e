"""CPU time of a piece of work: what else runs on the machine does not count."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import psutil
import sqlalchemy as sa


def cpu_seconds_of(engine: sa.Engine, work: Callable[[], object]) -> float:
    """CPU seconds that this process and the database's server use for some work, all helpers of the server included."""
    with engine.connect() as connection:
        session: int = connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one()
    server = psutil.Process(session).parent()
    if server is None:
        raise AssertionError("a session of PostgreSQL is a child of its server")
    begun = _used(server)
    work()
    return _used(server) - begun


def _used(server: psutil.Process) -> float:
    """By this process, the sessions that are there, and those that have ended, which the server keeps count of."""
    seconds = sum(psutil.Process().cpu_times()[:2])
    for one in server.children():
        with suppress(psutil.NoSuchProcess):
            seconds += sum(one.cpu_times()[:2])
    ended = server.cpu_times()
    return float(seconds + ended.children_user + ended.children_system)
