"""Stage "tracker": pixel and one-click unsubscribe over real HTTP, and whether every answer is on record.

wrk asks on one core while the server answers on the other. The pixel is held against an empty ASGI application on the
same server, one-click POSTs against what the same durable PostgreSQL commits (`pgbench -N`).
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import sqlalchemy as sa

from reku.bench.world import World, world
from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku.foundation.tokens import Purpose, Target, _hashed_keys, make
from reku.responses.drain import drain
from reku.runtime import places
from reku.runtime.ports import LOOPBACK, free_port
from reku.runtime.postgres import reachable_programs
from reku.store.tables import hits, messages, suppressions

AT_LEAST = 0.3
CLIENTS = 32
SECONDS = 3
PEOPLE = 20_000
"""Messages; one-click POSTs of more than so many in a round would find everybody unsubscribed."""

_LIST = """\
local paths, at = {{}}, 0
for line in io.lines("{file}") do paths[#paths + 1] = line end
"""
_PIXEL = _LIST + 'request = function() at = at % #paths + 1 return wrk.format("GET", paths[at]) end\n'
_ONE_CLICK = (
    _LIST
    + """\
local head = {{["Content-Type"] = "application/x-www-form-urlencoded"}}
request = function() at = at % #paths + 1 return wrk.format("POST", paths[at], head, "List-Unsubscribe=One-Click") end
"""
)


async def empty(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[dict[str, Any]], Any]) -> None:
    """The peer: an ASGI application that answers without doing anything."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def measure(rounds: int, seconds: int = SECONDS, people: int = PEOPLE) -> list[dict[str, Any]]:
    """The figures of this stage. Raises SetupError if a tool is missing or an answer was not on record."""
    wrk = _tool("wrk")
    with world(durable=True) as there:
        delivery = there.delivery(people)
        with there.engine.connect() as connection:
            ids = connection.scalars(sa.select(messages.c.id).where(messages.c.delivery_id == delivery)).all()
        environment = there.environment | {"REKU_TRACKER_RATE": "1e9", "REKU_TRACKER_BURST": "1000000000"}
        with mock.patch.dict(os.environ, environment):
            settings.cache_clear()
            _hashed_keys.cache_clear()
            try:
                with (
                    _running(there, "reku.responses.tracker:app") as ours,
                    _running(there, "reku.bench.tracker:empty") as peer,
                ):
                    pixels = [f"/o/{make(Purpose.OPEN, Target(id_))}.gif" for id_ in ids]
                    pixel = _pixel(there, wrk, rounds, seconds, (ours, peer), pixels)
                    unsubscribe = _one_click(there, wrk, rounds, seconds, ours, ids)
            finally:
                settings.cache_clear()
                _hashed_keys.cache_clear()
    return [{"stage": "tracker", "rounds": rounds} | figure for figure in (*pixel, unsubscribe)]


def _pixel(
    there: World, wrk: str, rounds: int, seconds: int, servers: tuple[str, str], paths: Sequence[str]
) -> list[dict[str, Any]]:
    script = _script(there, "pixel", _PIXEL, paths)
    rates: dict[str, list[float]] = {server: [] for server in servers}
    answered = 0
    for number in range(rounds):
        for server in servers if number % 2 else reversed(servers):
            done = _wrk(wrk, server, script, seconds)
            rates[server].append(done / seconds)
            answered += done if server == servers[0] else 0
            drain(there.engine, settings().hit_journals())  # so that one round's rest does not weigh on the next
    time.sleep(1)
    drain(there.engine, settings().hit_journals())
    rows = _count(there, hits)
    # wrk hangs up at the end of a round: on each connection one hit may be noted whose answer it does not count
    if not answered <= rows <= answered + rounds * CLIENTS:
        raise SetupError(f"{answered} requests were answered, and {rows} are on record.")
    ours, peer = (statistics.median(rates[server]) for server in servers)
    return [
        {
            "what": "pixel, one worker, journalled, taken in meanwhile",
            "against": "an empty ASGI application on the same server",
            "ratio": round(ours / peer, 2),
            "at_least": AT_LEAST,
            "rows": answered,
        },
        {
            "what": "opens on record, of those answered",
            "against": f"what wrk counted; {rows - answered} more were cut off at the end of a round",
            "ratio": min(1.0, rows / answered),
            "at_least": 1.0,
            "rows": rows,
        },
    ]


def _one_click(there: World, wrk: str, rounds: int, seconds: int, ours: str, ids: Sequence[int]) -> dict[str, Any]:
    script = _script(there, "one-click", _ONE_CLICK, [f"/u/{make(Purpose.UNSUBSCRIBE, Target(id_))}" for id_ in ids])
    pgbench = _prepared_pgbench(there)
    posts: list[int] = []
    commits: list[float] = []
    total = 0
    for number in range(rounds):
        if number % 2:
            commits.append(_commits(pgbench, seconds))
        posts.append(_unsubscribed(there, wrk, ours, script, seconds, len(ids)))
        if not number % 2:
            commits.append(_commits(pgbench, seconds))
        total += posts[-1]
    return {
        "what": f"one-click POSTs committed before the answer, {CLIENTS} at once",
        "against": f"pgbench -N -c {CLIENTS}, transactions",
        "ratio": round(statistics.median(posts) / seconds / statistics.median(commits), 2),
        "at_least": AT_LEAST,
        "rows": total,
    }


def _unsubscribed(there: World, wrk: str, server: str, script: Path, seconds: int, people: int) -> int:
    """One round: how many were answered, everybody of them barred by then."""
    with there.engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE reku.suppressions, reku.feedback_rows, reku.responses CASCADE"))
    answered = _wrk(wrk, server, script, seconds)
    barred = _count(there, suppressions)
    if barred < min(answered, people):
        raise SetupError(f"{answered} unsubscribes were answered, and {barred} are on record.")
    return answered


def _count(there: World, table: sa.Table) -> int:
    with there.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise SetupError(f"The benchmark needs {name}. On Debian and Ubuntu: apt-get install {name}")
    return path


def _script(there: World, name: str, text: str, paths: Sequence[str]) -> Path:
    listed, script = there.folder / f"{name}.txt", there.folder / f"{name}.lua"
    listed.write_text("\n".join(paths) + "\n", encoding="ascii")
    script.write_text(text.format(file=listed), encoding="ascii")
    return script


def _wrk(wrk: str, server: str, script: Path, seconds: int) -> int:
    """How many requests were answered well."""
    done = subprocess.run(  # noqa: S603 - found by its name
        (wrk, "-t1", f"-c{CLIENTS}", f"-d{seconds}s", "-s", str(script), server),
        capture_output=True,
        text=True,
        check=False,
    )
    answered = re.search(r"(\d+) requests in", done.stdout)
    if done.returncode or not answered or "Non-2xx" in done.stdout:
        raise SetupError(f"wrk was not answered well: {(done.stdout or done.stderr).strip()}")
    return int(answered[1])


@contextmanager
def _running(there: World, app: str) -> Iterator[str]:
    """Serve an application as the tracker is served, in a process of its own; yields its address."""
    port = free_port()
    code = f"from reku.responses.serve import serve; serve({app!r}, {LOOPBACK!r}, {port})"
    with (there.folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen((sys.executable, "-P", "-c", code), stdout=log, stderr=log)  # noqa: S603 - our own
    try:
        address = f"http://{LOOPBACK}:{port}"
        for _ in range(600):
            try:
                httpx.get(address, trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()


def _prepared_pgbench(there: World) -> tuple[str, ...]:
    """The command, without its time, on tables of its own in the same server."""
    with there.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("CREATE DATABASE pgbench"))
    url = there.engine.url.set(drivername="postgresql", database="pgbench").render_as_string(hide_password=False)
    command = (str(reachable_programs(places.account()) / "pgbench"), "-n", url)
    _run((*command, "-i", "-q", "-s", "10"))
    return (*command, "-N", "-c", str(CLIENTS), "-j", "2")


def _commits(pgbench: tuple[str, ...], seconds: int) -> float:
    told = _run((*pgbench, "-T", str(seconds)))
    rate = re.search(r"tps = ([\d.]+)", told)
    if rate is None:
        raise SetupError(f"pgbench said no rate: {told.strip()[-300:]}")
    return float(rate[1])


def _run(command: tuple[str, ...]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - of our PostgreSQL
    if done.returncode:
        raise SetupError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")
    return done.stdout
