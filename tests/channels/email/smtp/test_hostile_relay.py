"""A relay that refuses, puts off, stalls and breaks off at random: what became of every mail is known exactly."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.dispatch import outage, queue, rate_limit
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.store.states import MessageState
from reku_testing import dispatching
from reku_testing.dispatching import (
    DAY,
    NO_CONTROL_COPY,
    Sink,
    account,
    addresses_in,
    change_settings,
    claimed,
    configure,
    dispatch,
    events,
    loaded,
    people,
    states,
)
from reku_testing.smtp import running

CUT = "cut"
TAKE_AND_CUT = "next_mail and cut"
NASTY = {
    "auth": ("535 5.7.8 no", "454 4.7.0 not now"),
    "mail": ("451 4.3.0 not now",),
    "rcpt": ("421 4.7.0 slowly", "450 4.2.1 later", "550 5.1.1 no such user", "554 5.7.1 blocked", CUT),
    "data": ("421 4.3.2 bye", "451 4.3.0 later", "554 5.6.0 no", CUT),
    "dot": ("421 4.3.2 bye", "452 4.3.1 later", "550 5.7.1 spam", "552 5.2.2 full", CUT, TAKE_AND_CUT),
}
OFTEN = {"auth": 0.1, "mail": 0.01, "rcpt": 0.15, "data": 0.05, "dot": 0.15}
MOST_TRIES = 3
"""After so many nasty answers about one person the relay takes the mail, so that everything comes to an end."""


@dataclass
class Hostile(Sink):
    """Nasty at random; `cut`: whose mail was broken off after its dot, `refused`: who got a 5xx at which point."""

    draw: random.Random = field(default_factory=random.Random)
    cut: set[str] = field(default_factory=set)
    refused: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    tries: Counter[str] = field(default_factory=Counter)

    async def answer(self, point: str, recipient: str) -> str:
        if self.draw.random() < 0.05:
            await asyncio.sleep(self.draw.uniform(0, 0.1))
        if self.draw.random() >= OFTEN[point] or self.tries[recipient] >= MOST_TRIES:
            return await super().answer(point, recipient)
        answer = self.draw.choice(NASTY[point])
        if recipient:
            self.tries[recipient] += 1
        if point == "dot" and answer in (CUT, TAKE_AND_CUT):
            self.cut.add(recipient)
        if answer == TAKE_AND_CUT:
            # not the newest of all: another connection's mail may have come while this answer was slow
            self.taken.append(next(mail for mail in reversed(self.come) if mail.recipient == recipient))
        if answer in (CUT, TAKE_AND_CUT):
            raise ConnectionResetError
        if recipient and answer.startswith("5"):
            self.refused[point].add(recipient)
        return answer


@pytest.fixture
def hostile(
    database: sa.Engine, clock_at: Callable[[datetime], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hostile]:
    """The relay, and patience of fractions of a second."""
    clock_at(dispatching.NINE)
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY, ('per_domain: {"*": 100}', 'per_domain: {"*": 80}')])
    monkeypatch.setattr(queue, "RETRY_AFTER", (0.05, 0.1))
    monkeypatch.setattr(outage, "TRY_AGAIN_AFTER", (0.05, 0.1))
    monkeypatch.setattr(rate_limit, "SLOWED_FOR", (0.1, 0.2))
    sink = Hostile()
    with running(sink):
        change_settings(monkeypatch, smtp_port=sink.port, smtp_user="bank", smtp_password="secret", dispatch_batch=30)
        yield sink


@pytest.mark.parametrize("seed", range(5))
def test_hostile_relay(database: sa.Engine, hostile: Hostile, seed: int) -> None:
    hostile.draw.seed(seed)
    hostile.offers = ("PIPELINING", "AUTH PLAIN")[seed % 2 :]
    rows = [row for number in (1, 2, 3) for row in people(40, first=100 * number, domain=f"provider{number}.example")]
    hostile.draw.shuffle(rows)
    delivery = loaded(database, rows)
    for _ in range(200):
        try:
            done = dispatch(database, delivery, day=DAY)
        except StageError:
            time.sleep(0.01)
            continue
        if done.next_try is None:
            break
        assert done.next_try - clock.now() < timedelta(seconds=5)
    assert states(database).keys() <= {"SENT", "REJECTED", "IN_DOUBT"}
    assert states(database).total() == 120
    assert claimed(database) == 0
    account(database, hostile)
    rejected = set(addresses_in(database, MessageState.REJECTED))
    assert rejected >= hostile.refused["dot"]
    # a refusal of the envelope may go unheard when something else ends the dispatch; then they are tried again
    assert rejected <= hostile.refused["dot"] | hostile.refused["rcpt"] | hostile.refused["data"]
    assert set(addresses_in(database, MessageState.IN_DOUBT)) == hostile.cut
    counted = events(database)
    assert sum(counted.values()) == states(database)["SENT"] + states(database)["REJECTED"]
