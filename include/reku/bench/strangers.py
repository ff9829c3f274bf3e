"""Stage "strangers": how long one bank's response file waits for what strangers send to another bank's addresses.

Bank A has 10,000 hostile mails in the return mailbox (nested, large, without a token of ours) and 100,000 clicks in the
journal of a tracker. A collector is at work on both all the time, in a process of its own. Meanwhile bank B
writes its daily response file. Held against the two seconds that it may be later for it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from reku.bench.world import World, world
from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku.process.daily_feedback import write_daily_feedback
from reku.responses.hit_journal import HitJournal
from reku.store.tables import hits, messages

MAILS, CLICKS, PEOPLE = 10_000, 100_000, 2_000
LIMIT_SECONDS = 2.0
OTHER = "99990001"
"""Bank B, of the shipped configuration."""


def measure(rounds: int, mails: int = MAILS, clicks: int = CLICKS) -> list[dict[str, Any]]:
    """The figure of this stage. Raises SetupError if the strangers were through before the measuring was."""
    with world() as there:
        delivery = there.delivery(PEOPLE)
        maildir = there.folder / "mail"
        there.environment |= {"REKU_BOUNCE_MAILDIR": str(maildir), "REKU_HIT_SETTLE_SECONDS": "0"}
        with there.in_force():
            quiet = [_export(there) for _ in range(rounds + 1)][1:]
            _write_mails(maildir, mails)
            _write_clicks(there, delivery, clicks)
            with _collecting(there):
                attacked = [_export(there) for _ in range(rounds)]
                left = _left(there, maildir)
            if not left:
                raise SetupError("The strangers were through before the exports were: take more of them.")
    delay = max(statistics.median(attacked) - statistics.median(quiet), 0.001)
    worst = max(max(attacked) - statistics.median(quiet), 0.001)
    return [
        {
            "stage": "strangers",
            "what": f"delay of bank B's response file, bank A under {mails} mails and {clicks} clicks: {what}",
            "against": f"{LIMIT_SECONDS:.0f} s",
            "ratio": round(LIMIT_SECONDS / seconds, 1),
            "at_least": 1.0,
            "rounds": rounds,
            "rows": mails + clicks,
        }
        for what, seconds in (
            (f"median {delay:.2f} s", delay),
            (f"longest {worst:.2f} s", worst),
        )
    ]


def _export(there: World) -> float:
    """Seconds of bank B's daily feedback."""
    begun = time.perf_counter()
    write_daily_feedback(there.engine, OTHER)
    return time.perf_counter() - begun


def _write_mails(maildir: Path, number: int) -> None:
    """Deep, long and with a token that is none: what costs most and means least."""
    for part in ("tmp", "new", "cur"):
        (maildir / part).mkdir(parents=True)
    nested = b"".join(
        b'Content-Type: multipart/mixed; boundary*0="b%d"\n\n--b%d\n' % (depth, depth) for depth in range(400)
    )
    data = b"From: <>\nTo: b+1.00@bounce.example\n" + nested + b"x\n" * 15_000
    first = maildir / "new" / "0"
    first.write_bytes(data)
    for mail in range(1, number):
        os.link(first, maildir / "new" / f"{mail}")


def _write_clicks(there: World, delivery: int, number: int) -> None:
    """Clicks of the delivery's messages, as one tracker has noted them; its journal is complete."""
    with there.engine.connect() as connection:
        ids = connection.scalars(sa.select(messages.c.id).where(messages.c.delivery_id == delivery)).all()
    journal = HitJournal(settings().hit_journals())
    for click in range(number):
        journal.note("CLICKED", ids[click % len(ids)], 1 + click % 5, "Mozilla/5.0")
    journal.close()


def _left(there: World, maildir: Path) -> bool:
    """Whether the collector still has mails, or hits, before it."""
    with there.engine.connect() as connection:
        unjudged = connection.scalar(sa.select(sa.func.count()).where(hits.c.verdict.is_(None)))
    return bool(unjudged) or any((maildir / "new").iterdir())


@contextmanager
def _collecting(there: World) -> Iterator[None]:
    """A process that collects again and again, as the DAG does each minute."""
    process = subprocess.Popen((sys.executable, "-P", "-m", "reku.bench.strangers"), env=os.environ | there.environment)
    try:
        time.sleep(3)  # until it is at work
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    from reku.process.collecting import collect
    from reku.store.engine import engine

    while True:
        collect(engine())
