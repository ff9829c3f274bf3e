"""Stage "dispatch": a delivery from the ledger to the relay and back, against smtp-source and against the naive way.

Everything is measured in one process of its own (and its workers), alternated, with one smtp-sink.
"""

from __future__ import annotations

import json
import os
import smtplib
import statistics
import sys
import time
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from reku.bench import render
from reku.bench.cpu import cpu_seconds_of
from reku.bench.own_process import figures_of
from reku.bench.sink import sink, smtp_source
from reku.bench.world import World, world
from reku.channels.email.channel import EMAIL
from reku.channels.email.media.links import SharedLinks, links_for
from reku.channels.email.queued_mails import QueuedMails
from reku.channels.email.smtp.handover import hand_over
from reku.channels.email.smtp.transport import Relay
from reku.dispatch.brake import Brake
from reku.dispatch.claim import Batch, Claimed
from reku.dispatch.dispatch import check_dispatchable, dispatch
from reku.dispatch.dispatcher import Dispatcher
from reku.dispatch.journal import Begun, Ended, Journal
from reku.dispatch.lease import LeaseGuard
from reku.dispatch.ledger import Due
from reku.dispatch.ledger_writer import LedgerWriter
from reku.dispatch.lock import delivery_lock
from reku.dispatch.progress import DispatchResult
from reku.dispatch.queue import DeliveryQueue
from reku.foundation import clock, settings
from reku.foundation.errors import SetupError
from reku.runtime.home import SECRETS
from reku.store.states import MessageState
from reku.store.tables import delivery_rows, messages

PEOPLE = 30_000
ALONE = 5_000
"""People of a round in which one process works alone."""
NAIVE = 200


def measure(rounds: int) -> list[dict[str, Any]]:
    """The figures of this stage. Raises SetupError if the process that measures fails."""
    return figures_of("reku.bench.dispatch", rounds)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _whole(there: World, delivery: int) -> None:
    """One whole dispatch, by as many processes as the settings say."""
    done = dispatch(there.engine, delivery, EMAIL, day=clock.today())
    if done.sent != PEOPLE:
        raise SetupError(f"Not everything was sent, so nothing can be said of the dispatch: {done}")


def _loop(
    there: World,
    *,
    ledger: bool = True,
    sealed: bool = False,
    measured: Callable[[Callable[[], object]], float] = _seconds,
) -> float:
    """Seconds of one dispatcher's loop: with the ledger or with one that does nothing, of open rows or sealed ones."""
    delivery = there.delivery(ALONE, sealed=sealed)
    plan = check_dispatchable(there.engine, delivery)
    due = Due(delivery, clock.today())
    until = clock.now() + timedelta(hours=1)
    with delivery_lock(there.engine, delivery) as lock:
        prepared, result, show = EMAIL.prepare(plan), DispatchResult(), lambda _result: None
        brake = Brake(plan.institute.refusals)
        if ledger:
            terms = Dispatcher(there.engine, plan, EMAIL, due, until, lock.session, result, show, brake)
            return measured(lambda: prepared.send(terms))
        queue = DeliveryQueue(plan, prepared.fill, _NoLedger(there, delivery), _NoGuard(), until, result, show, brake)
        relay, connections = Relay.from_settings(settings.settings()), settings.settings().smtp_connections
        return measured(lambda: hand_over(QueuedMails(queue), relay, connections=connections))


def _people(there: World, delivery: int) -> Sequence[sa.Row[Any]]:
    wanted = (
        sa.select(messages.c.id, messages.c.reference, messages.c.tracking, delivery_rows.c.address)
        .add_columns(delivery_rows.c.fields)
        .join(delivery_rows, delivery_rows.c.id == messages.c.row_id)
        .where(messages.c.delivery_id == delivery)
    )
    with there.engine.connect() as connection:
        return connection.execute(wanted).all()


class _NoLedger(LedgerWriter):
    """A ledger that does nothing: batches come out of memory, nothing is noted."""

    is_claiming = False
    fences: Collection[int] = ()

    def __init__(self, there: World, delivery: int) -> None:
        self.exhausted = False
        self._people = [
            Claimed(row.id, row.reference, row.tracking, "", 0, row.address, row.fields)
            for row in _people(there, delivery)
        ]

    def next_batch(self, held: int) -> Batch | None:
        if held > 100:
            return None
        taken, self._people = self._people[:200], self._people[200:]
        self.exhausted = not taken
        return Batch(1, Journal.__new__(Journal), [(0.0, one) for one in taken], 0, 0, ()) if taken else None

    def begin(self, fence: int, begun: Begun) -> None: ...

    def end(self, fence: int, ended: Ended) -> None: ...

    def tick(self) -> None: ...

    def close(self) -> BaseException | None: ...


class _NoGuard(LeaseGuard):
    """Always fresh."""

    def __init__(self) -> None: ...

    is_fresh = True


def _naive(there: World, port: int) -> float:
    """Seconds of the obvious way: EmailMessage, smtplib, one connection, a commit before and one after each mail."""
    delivery = there.delivery(NAIVE)
    compiled = next(iter(EMAIL.prepare(check_dispatchable(there.engine, delivery)).media.values()))
    people, shared_links = _people(there, delivery), SharedLinks(delivery, compiled.medium.key)

    def mark(id_: int, state: MessageState) -> None:
        with there.engine.begin() as connection:
            connection.execute(sa.update(messages).where(messages.c.id == id_).values(state=state))

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", port) as smtp:
            for one in people:
                mark(one.id, MessageState.CLAIMED)
                mail = render.by_email_message(compiled, one.fields, links_for(one.id, shared_links, tracking=True))
                smtp.sendmail("bank@bank.example", [one.address], mail)
                mark(one.id, MessageState.SENT)

    return _seconds(send)


def _figure(what: str, against: str, ratios: list[float], at_least: float, rows: int) -> dict[str, Any]:
    return {
        "stage": "dispatch",
        "what": what,
        "against": against,
        "ratio": round(statistics.median(ratios), 2),
        "at_least": at_least,
        "rounds": len(ratios),
        "rows": rows,
    }


def _figures(there: World, port: int, rounds: int) -> list[dict[str, Any]]:
    source, naive, ledger, sealed = [], [], [], []
    cpu = partial(cpu_seconds_of, there.engine)
    for number in range(rounds):
        delivery = there.delivery(PEOPLE)
        theirs = smtp_source(port, PEOPLE) if number % 2 else 0.0
        ours = _seconds(lambda: _whole(there, delivery))  # noqa: B023 - called at once
        source.append((theirs or smtp_source(port, PEOPLE)) / ours)
        naive.append(_naive(there, port) / NAIVE / (ours / PEOPLE))
        turns = (True, False) if number % 2 else (False, True)
        both = {kept: _loop(there, ledger=kept) for kept in turns}
        ledger.append(both[False] / both[True])
        kinds = {
            kind: _loop(there, sealed=kind, measured=cpu) for kind in ((True, False) if number % 2 else (False, True))
        }
        sealed.append(kinds[False] / kinds[True])
    whole = "render + sign + send + ledger, 2 processes"
    return [
        _figure(whole, "smtp-source -d -s 4", source, 0.5, PEOPLE),
        _figure(whole, "EmailMessage + smtplib, a commit before and after each mail", naive, 12, PEOPLE),
        _figure("dispatch loop, 1 process", "the same loop with a ledger that does nothing", ledger, 0.85, ALONE),
        _figure("dispatch loop, 1 process, sealed rows", "the same loop with open rows, CPU", sealed, 0.95, ALONE),
    ]


def main(rounds: int) -> None:
    """Measure and print one JSON list."""
    with sink() as port, world() as there:
        os.environ |= there.environment | {"REKU_SMTP_PORT": str(port), "REKU_DISPATCH_LARGE": str(PEOPLE)}
        os.environ["REKU_VAULT_KEYS"] = SECRETS["REKU_VAULT_KEYS"]()
        settings.settings.cache_clear()
        print(json.dumps(_figures(there, port, rounds)))  # noqa: T201 - read by `measure`


if __name__ == "__main__":
    main(int(sys.argv[1]))
