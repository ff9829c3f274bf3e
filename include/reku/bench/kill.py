"""Dispatchers killed (SIGKILL) at random moments of their work, and what became of every mail: exact numbers."""

from __future__ import annotations

import os
import random
import secrets
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from reku.bench.world import World, world
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.store.kinds import EventKind
from reku.store.states import MessageState
from reku.store.tables import claims, delivery_rows, messages, responses
from reku_testing.forker import PASSING, Dispatcher, Forker
from reku_testing.smtp import Sink, running

SECONDS_A_MAIL = 0.005
CONNECTIONS = 4
PROCESSES = 2
PEOPLE = 600
"""So many people has a delivery; its dispatchers are killed one after the other until nothing is left to do."""
_LEFT = 150  # with fewer left, a dispatcher might well end before its kill
_LATEST = 0.12  # seconds after a dispatcher's first mail
_INTERRUPTED = 0.2  # share of interruptions (Ctrl-C, a task's time limit) of single processes, besides the kills
_EARLY = 0.2  # share of the kills whose moment counts from the start instead: recovery and claims are hit as well
_PATIENCE = 60.0
_SETTINGS = {
    "REKU_SMTP_CONNECTIONS": str(CONNECTIONS),
    "REKU_DISPATCH_BATCH": "40",
    "REKU_LEASE_SECONDS": "2",
    "REKU_DISPATCH_PROCESSES": str(PROCESSES),
}


class _Sink(Sink):
    """Some people's mailboxes do not exist."""

    async def answer(self, point: str, recipient: str) -> str:
        if point == "rcpt" and _number(recipient) % 29 == 0:
            return "550 5.1.1 no such mailbox"
        return await super().answer(point, recipient)


@dataclass
class _Figures:
    """What has been counted over all deliveries."""

    kills: int = 0
    kills_outside: int = 0
    interruptions: int = 0
    worker_kills: int = 0
    parent_kills: int = 0
    most_in_doubt: float = 0.0
    outlived: int = 0
    mails: Counter[str] = field(default_factory=Counter)


def run(times: int, seed: int | None = None) -> dict[str, Any]:
    """Kill dispatchers so many times, and say what became of every mail; a last dispatcher completes each delivery.

    A kill counts only if the killed dispatcher had claimed rows that are not recorded yet, and others were open. Every
    sixth kill hits a dispatcher with several processes: the parent, or one worker. Besides, some dispatchers are
    interrupted (SIGINT), which must do no harm either.

    The numbers: `accepted` messages = `sent` + `withheld` + `rejected` + `in_doubt` + `open`; `received` mails at the
    server; `twice`: received again by somebody who had one; `missing`: sent and not received; `untold`: received and
    neither sent nor in doubt; `events`: sent events, one for each message sent; `most_in_doubt_per_connection`: of one
    kill, by the connections it has cut; `outlived`: workers that were still there after their parent. With equal `seed`
    the moments are drawn alike.
    """
    seed = secrets.randbits(32) if seed is None else seed
    draw = random.Random(seed)  # noqa: S311 - moments, no secrets
    figures, begun = _Figures(), time.monotonic()
    sink = _Sink(SECONDS_A_MAIL)
    with world() as bank, running(sink):
        environment = bank.environment | _SETTINGS | _at_noon(bank.folder) | {"REKU_SMTP_PORT": str(sink.port)}
        with Forker(environment) as forker:
            several = max(1, times // 6)
            while figures.kills < times - several:
                _Delivery(bank, sink, forker, draw, figures, processes=1).kill(times - several)
            while figures.kills < times:
                _Delivery(bank, sink, forker, draw, figures, processes=PROCESSES).kill(times)
    return {
        "what": "kill -9 of the dispatcher",
        "seed": seed,
        "kills": figures.kills,
        "of_workers": figures.worker_kills,
        "of_parents": figures.parent_kills,
        "kills_outside": figures.kills_outside,
        "interruptions": figures.interruptions,
        "connections": CONNECTIONS,
        "processes": PROCESSES,
        "most_in_doubt_per_connection": round(figures.most_in_doubt, 2),
        "outlived": figures.outlived,
        **{name: figures.mails[name] for name in _NUMBERS},
        "seconds": round(time.monotonic() - begun, 1),
    }


_NUMBERS = (
    "accepted",
    "sent",
    "withheld",
    "rejected",
    "in_doubt",
    "open",
    "received",
    "twice",
    "missing",
    "untold",
    "in_doubt_received",
    "events",
)


@dataclass
class _Delivery:
    """One delivery, its dispatchers and their ends."""

    bank: World
    sink: Sink
    forker: Forker
    draw: random.Random
    figures: _Figures
    processes: int
    id: int = 0
    day: date = field(default_factory=clock.today)
    _killed: list[tuple[int, int, int]] = field(default_factory=list)  # fences from … to, connections that were lost

    def kill(self, until: int) -> None:
        """Kill its dispatchers until there have been so many kills or little is left, let one complete it; count."""
        self.id = self.bank.delivery(PEOPLE)
        self._some_without_consent()
        self.sink.taken.clear()
        while self.figures.kills < until and self._count(MessageState.OPEN) > _LEFT:
            self._kill_one()
        end = time.monotonic() + _PATIENCE
        while self._start(processes=1).ended() == PASSING:
            _check(time.monotonic() < end, f"delivery {self.id} cannot be completed")
        self._account()

    def _start(self, processes: int) -> Dispatcher:
        large = "1" if processes > 1 else "1000000"
        return self.forker.start(self.id, self.day, {"REKU_DISPATCH_LARGE": large})

    def _kill_one(self) -> None:
        fence, before = self._fence(), len(self.sink.taken)
        dispatcher = self._start(self.processes)
        process = psutil.Process(dispatcher.pid)
        if self.draw.random() >= _EARLY:
            while len(self.sink.taken) == before and _lives(process):
                time.sleep(0.001)
        time.sleep(self.draw.uniform(0, _LATEST * self.processes))
        workers = process.children() if _lives(process) else []
        victim = self.draw.choice([process, *workers])
        if not _lives(victim):
            dispatcher.ended()  # it had nothing to do, or its predecessor still had the lock
            return
        interrupted = self.processes == 1 and self.draw.random() < _INTERRUPTED
        os.kill(victim.pid, signal.SIGINT if interrupted else signal.SIGKILL)
        dispatcher.ended()
        _, alive = psutil.wait_procs(workers, 10)
        self.figures.outlived += len(alive)
        if interrupted:
            self.figures.interruptions += 1
        elif self._hit(fence):
            self.figures.kills += 1
            self.figures.worker_kills += victim is not process
            self.figures.parent_kills += victim is process and bool(workers)
        else:
            self.figures.kills_outside += 1
        connections = CONNECTIONS * (PROCESSES if victim is process and workers else 1)
        self._killed.append((fence, self._fence(), connections))

    def _hit(self, fence: int) -> bool:
        """Whether rows are claimed with a higher fence, and others are open."""
        with self.bank.engine.connect() as connection:
            claimed = connection.scalar(
                sa.select(sa.func.count())
                .select_from(messages)
                .where(messages.c.delivery_id == self.id, messages.c.fence > fence)
                .where(messages.c.state == MessageState.CLAIMED)
            )
        return bool(claimed) and self._count(MessageState.OPEN) > 0

    def _fence(self) -> int:
        """The highest fencing number so far."""
        with self.bank.engine.connect() as connection:
            batches = sa.select(sa.func.max(claims.c.fence)).where(claims.c.delivery_id == self.id)
            last = sa.select(sa.func.max(messages.c.fence)).where(messages.c.delivery_id == self.id)
            return max(connection.scalar(batches) or 0, connection.scalar(last) or 0)

    def _count(self, state: MessageState) -> int:
        with self.bank.engine.connect() as connection:
            counted = sa.select(sa.func.count()).select_from(messages)
            return connection.scalar(counted.where(messages.c.delivery_id == self.id, messages.c.state == state)) or 0

    def _some_without_consent(self) -> None:
        with self.bank.engine.begin() as connection:
            connection.execute(
                sa.update(messages)
                .where(messages.c.delivery_id == self.id, messages.c.id % 31 == 0)
                .values(consent=False)
            )

    def _account(self) -> None:
        with self.bank.engine.connect() as connection:
            rows = connection.execute(
                sa.select(messages.c.state, messages.c.fence, delivery_rows.c.address)
                .join(delivery_rows, delivery_rows.c.id == messages.c.row_id)
                .where(messages.c.delivery_id == self.id)
            ).all()
            events = connection.scalar(
                sa.select(sa.func.count())
                .select_from(responses)
                .join(messages, messages.c.id == responses.c.message_id)
                .where(messages.c.delivery_id == self.id, responses.c.kind == EventKind.SENT)
            )
        received = Counter(mail.recipient for mail in self.sink.taken)
        sent = {row.address for row in rows if row.state == MessageState.SENT}
        doubtful = [row for row in rows if row.state == MessageState.IN_DOUBT]
        in_doubt = {row.address for row in doubtful}
        for before, last, connections in self._killed:
            of_kill = sum(before < row.fence <= last for row in doubtful)
            self.figures.most_in_doubt = max(self.figures.most_in_doubt, of_kill / connections)
        states = Counter(row.state for row in rows)
        self.figures.mails.update(
            accepted=len(rows),
            sent=len(sent),
            withheld=states[MessageState.WITHHELD],
            rejected=states[MessageState.REJECTED],
            in_doubt=len(in_doubt),
            open=states[MessageState.OPEN],
            received=received.total(),
            twice=received.total() - len(received),
            missing=len(sent - received.keys()),
            untold=len(received.keys() - sent - in_doubt),
            in_doubt_received=len(in_doubt & received.keys()),
            events=events or 0,
        )


def _at_noon(folder: Path) -> dict[str, str]:
    """Whenever it runs: at midnight the send window is closed for a minute."""
    file = folder / "clock.json"
    clock.move(file, clock.at(clock.today(), 12))
    return {clock.CLOCK_FILE_VARIABLE: str(file)}


def _number(address: str) -> int:
    return int(address.removeprefix("person").partition(".")[0])


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StageError(f"The kill test came to no end: {otherwise}.")
