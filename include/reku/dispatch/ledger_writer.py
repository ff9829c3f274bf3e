"""Keeps the ledger for one dispatcher in a thread of its own, so that the connections never wait for the database.

The next batch is claimed while one is handed over, and answers are recorded some at a time. Whatever is not recorded
yet stands in the journals. Once recording has failed nothing more is recorded and no batch is closed: the journals
stay, and the next dispatcher recovers from them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from reku.dispatch import ledger
from reku.dispatch.channel import Channel
from reku.dispatch.claim import Batch, claim
from reku.dispatch.journal import Begun, Ended, Journal
from reku.dispatch.ledger import Due
from reku.dispatch.plan import SendPlan

RECORD_SECONDS = 0.5
"""Answers are recorded at least so often."""


NO_SLOT_SECONDS = 0.2
"""After a claim that found no free slot for anybody, the next one is made so much later."""


@dataclass(frozen=True)
class ClaimLimits:
    """How one dispatcher claims: messages at once, lease, folder of journals; at most `quota` mails (None: all)."""

    batch: int
    lease: timedelta
    journals: Path
    quota: int | None = None


@dataclass
class _Open:
    """A batch in hand: its journal, and the messages of it that have not ended yet; which of them were begun."""

    journal: Journal
    left: set[int]
    begun: set[int] = field(default_factory=set)


class LedgerWriter:
    """The batches of one dispatcher, their journals, and what is still to be recorded."""

    def __init__(self, engine: sa.Engine, plan: SendPlan, channel: Channel, due: Due, limits: ClaimLimits) -> None:
        self._engine, self._plan, self._channel, self._due, self._limits = engine, plan, channel, due, limits
        self.exhausted = False
        self._batches: dict[int, _Open] = {}
        self._claimed = self._last = 0
        self._claim_at = 0.0
        self._claiming: Future[Batch | None] | None = None
        self._ended: list[tuple[int, Ended]] = []
        self._barred: list[tuple[int, int]] = []
        self._finished: list[int] = []
        self._recorded = time.monotonic()
        self._recording: list[Future[None]] = []
        self._failed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    @property
    def fences(self) -> Collection[int]:
        """The fencing numbers of the batches in hand."""
        return self._batches.keys()

    def next_batch(self, held: int) -> Batch | None:
        """A batch that has been claimed meanwhile, if there is one.

        The next one is claimed in time: when the dispatcher holds (`held`) no more than half a batch.
        `exhausted` tells that no more will come.
        """
        if self._claiming is None:
            if held <= self._limits.batch // 2 and not self.exhausted and time.monotonic() >= self._claim_at:
                self._claim()
            return None
        if not self._claiming.done():
            return None
        batch, self._claiming = self._claiming.result(), None
        if batch is None:
            self.exhausted = True
        else:
            self._take_in(batch)
        return batch

    @property
    def is_claiming(self) -> bool:
        """Whether a batch is being claimed."""
        return self._claiming is not None

    def begin(self, fence: int, begun: Begun) -> None:
        """Note in the journal that a mail is about to be sent; every answer before it is written as well."""
        for other, batch in self._batches.items():
            if other != fence:
                batch.journal.flush()
        batch = self._batches[fence]
        batch.journal.begin(begun)
        batch.begun.add(begun.id)

    def end(self, fence: int, ended: Ended) -> None:
        """Note how a message of a batch ended, to be recorded soon."""
        batch = self._batches[fence]
        batch.journal.end(ended)
        batch.begun.discard(ended.id)
        self._ended.append((fence, ended))
        self._leave(fence, ended.id)

    def bar(self, fence: int, id_: int) -> None:
        """Have a claimed message withheld that was barred meanwhile."""
        self._barred.append((fence, id_))
        self._leave(fence, id_)

    def run(self, work: Callable[[sa.Connection], object]) -> None:
        """Have something else done in the ledger."""

        def carried_out() -> None:
            with self._engine.begin() as connection:
                work(connection)

        self._recording.append(self._thread.submit(carried_out))

    def tick(self) -> None:
        """Record what is due. Raises what went wrong with an earlier recording."""
        for batch in self._batches.values():
            batch.journal.flush()
        if time.monotonic() - self._recorded > RECORD_SECONDS:
            self._record()
        while self._recording and self._recording[0].done():
            self._recording.pop(0).result()

    def close(self) -> BaseException | None:
        """Record the last answers and open again what was never begun. Returns what went wrong, if anything did."""
        if self._claiming is not None and self._claiming.exception() is None:
            batch = self._claiming.result()
            if batch is not None:
                self._take_in(batch)
        # a mail that was begun and not accounted for must not be taken for one never begun: that batch is recovered
        self._finished = [fence for fence, batch in self._batches.items() if not batch.begun]
        self._submit()
        faults = [future.exception() for future in self._recording]
        self._let_go()
        return next((fault for fault in faults if fault is not None), None)

    def abandon(self) -> None:
        """After an interruption, which may have hit us anywhere: from here on only the journals are to be believed."""
        if self._claiming is not None and self._claiming.exception() is None:
            batch = self._claiming.result()
            if batch is not None:
                batch.journal.close()
        self._let_go()

    def _let_go(self) -> None:
        self._thread.shutdown()
        _close_journals(self._batches)

    def _claim(self) -> None:
        limit = self._limits.batch
        if self._limits.quota is not None:
            limit = min(limit, self._limits.quota - self._claimed)
        if limit <= 0:
            self.exhausted = True
            return
        self._claiming = self._thread.submit(
            claim,
            self._engine,
            self._plan,
            self._channel,
            self._due,
            limit=limit,
            journals=self._limits.journals,
            lease=self._limits.lease,
            after=self._last,
        )

    def _take_in(self, batch: Batch) -> None:
        self._claimed += len(batch.messages)
        self._last = batch.last
        if not batch.messages and not batch.withheld:
            self._claim_at = time.monotonic() + NO_SLOT_SECONDS
        self._batches[batch.fence] = _Open(batch.journal, {message.id for _, message in batch.messages})
        if not batch.messages:
            self._finish(batch.fence)

    def _leave(self, fence: int, id_: int) -> None:
        left = self._batches[fence].left
        left.discard(id_)
        if not left:
            self._finish(fence)

    def _finish(self, fence: int) -> None:
        self._finished.append(fence)
        self._record()

    def _record(self) -> None:
        for fence in self._finished:
            self._batches[fence].journal.flush()  # first: if it fails, nothing of what follows is lost
        self._submit()

    def _submit(self) -> None:
        self._recorded = time.monotonic()
        ended, self._ended = self._ended, []
        finished, self._finished = self._finished, []
        barred, self._barred = self._barred, []
        batches = {fence: self._batches.pop(fence) for fence in finished}
        if ended or barred or batches:
            self._recording.append(self._thread.submit(self._settle, ended, barred, batches))

    def _settle(self, ended: list[tuple[int, Ended]], barred: list[tuple[int, int]], batches: dict[int, _Open]) -> None:
        if self._failed:  # an answer that is not recorded must not be taken for a mail never begun
            _close_journals(batches)
            return
        finished = {fence: batch.left for fence, batch in batches.items()}
        try:
            ledger.record_batches(self._engine, self._due.delivery, ended, barred, finished)
        except BaseException:  # Ctrl-C as well: whatever ends it, the journals tell the rest
            self._failed = True
            _close_journals(batches)
            raise
        for batch in batches.values():
            batch.journal.remove()


def _close_journals(batches: Mapping[int, _Open]) -> None:
    """Close all of them, though one of them cannot be: its disk may be full."""
    with ExitStack() as all_of_them:
        for batch in batches.values():
            all_of_them.callback(batch.journal.close)
