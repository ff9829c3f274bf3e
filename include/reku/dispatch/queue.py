"""One dispatcher's messages of one delivery, as a channel asks for them: which is next, may it go, how did it end."""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, Self, TypeVar, cast

from reku.contact.reasons import Reason
from reku.dispatch import rate_limit
from reku.dispatch.brake import Brake
from reku.dispatch.channel import Content, MessageFault
from reku.dispatch.claim import Claimed
from reku.dispatch.journal import Begun, Ended
from reku.dispatch.lease import LeaseGuard
from reku.dispatch.ledger_writer import LedgerWriter
from reku.dispatch.plan import SendPlan
from reku.dispatch.progress import DispatchResult
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.store.kinds import EventKind
from reku.store.states import MessageState

log = logging.getLogger(__name__)

ContentT = TypeVar("ContentT", bound=Content)

RETRY_AFTER = (60, 300, 900, 1800)
"""Seconds until a message is tried again after its first, second … temporary refusal."""
_CLAIM_POLL_SECONDS = 0.002


@dataclass(order=True)
class Job(Generic[ContentT]):
    """One claimed message, not to be handed over before `at` (monotonic seconds), and what the channel made of it."""

    at: float
    id: int
    fence: int = field(compare=False)
    message: Claimed = field(compare=False)
    made: ContentT | None = field(default=None, compare=False)
    begun_at: datetime | None = field(default=None, compare=False)

    @property
    def content(self) -> ContentT:
        """What the channel has made of it; there before the queue gives the job away."""
        return cast("ContentT", self.made)

    @property
    def domain(self) -> str:
        """The domain of the recipient's address; "" for an address of another kind."""
        return rate_limit.domain(self.message.address) if "@" in self.message.address else ""


class DeliveryQueue(Generic[ContentT]):
    """What is due of a delivery. Use as a context manager, which puts everything back that was not handed over.

    Each job that `next_job` gives is to be reported once: as `returned`, or as `sent`, `refused`, `put_off` or
    `withheld`, or, once `start` has let it go out, as `lost`. One that `start` forbids is not reported.
    """

    def __init__(
        self,
        plan: SendPlan,
        fill: Callable[[Claimed], ContentT],
        writer: LedgerWriter,
        lease_guard: LeaseGuard,
        until: datetime,
        result: DispatchResult,
        show: Callable[[DispatchResult], None],
        brake: Brake,
    ) -> None:
        self._plan, self._fill, self._writer, self._lease_guard, self._until = plan, fill, writer, lease_guard, until
        self._result, self._show, self._brake = result, show, brake
        self._jobs: list[Job[ContentT]] = []
        self._in_hand: dict[int, Job[ContentT]] = {}
        self._barred: set[int] = set()
        self._faults: list[MessageFault] = []
        self._resting: dict[str, float] = {}
        self._is_over = clock.now() >= until

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is not None and not isinstance(error, Exception):
            self._writer.abandon()  # Ctrl-C, a task's time limit
            return
        fault = self._writer.close()
        if error is not None:
            if fault is not None:
                error.add_note(
                    f"The last answers could not be recorded ({type(fault).__name__}); the journal has them."
                )
        elif fault is not None:
            raise fault
        elif self._faults:
            raise StageError(
                f"{len(self._faults)} messages cannot be filled and are still open; everybody else has been served. "
                f"The first: {self._faults[0]}"
            )

    def stop(self) -> None:
        """Begin nothing more; may be called by a signal handler."""
        self._is_over = True

    # ------------------------------------------------------------------ which is next, and may it go

    def next_job(self) -> Job[ContentT] | None:
        """The next message whose time has come, filled; None if there is none at this moment."""
        if self._is_over:
            return None
        self._replenish()
        while self._jobs and self._jobs[0].at <= time.monotonic():
            job = heapq.heappop(self._jobs)
            if job.id in self._barred or self._rests(job):
                continue
            try:
                if job.made is None:  # one that was returned is filled already
                    job.made = self._fill(job.message)
            except MessageFault as fault:
                self._cannot_be_filled(job, fault)
                continue
            self._in_hand[job.id] = job
            return job
        return None

    def seconds_until_next(self) -> float | None:
        """Seconds until `next_job` may have another one; None when there is none any more, or it is time to end."""
        if self._is_over:
            return None
        self._replenish()
        if self._jobs:
            return max(0.0, self._jobs[0].at - time.monotonic())
        return None if self._writer.exhausted and not self._writer.is_claiming else _CLAIM_POLL_SECONDS

    def start(self, job: Job[ContentT]) -> bool:
        """Whether the message may still go out; if so, its beginning is in the journal when this returns."""
        if not self._lease_guard.is_fresh:
            self._renew()
        if self._is_over or job.id in self._barred:
            del self._in_hand[job.id]
            return False
        begun_at = clock.now()
        self._writer.begin(job.fence, Begun(job.id, begun_at, job.content.message_id, job.content.medium))
        job.begun_at = begun_at
        del self._in_hand[job.id]
        return True

    def heartbeat(self) -> None:
        """See whether the dispatch may go on, and record what has come in. To be called a few times a second."""
        self._is_over = self._is_over or clock.now() >= self._until
        if not self._lease_guard.is_fresh:
            self._renew()
        self._writer.tick()
        self._show(self._result)

    # ------------------------------------------------------------------ how it ended

    def sent(self, job: Job[ContentT], answer: str = "") -> None:
        """Somebody else has taken the message over. `answer`: what was said, without text that may quote an address."""
        if self._was_barred(job):
            return
        self._was_tried(job)
        self._result.sent += 1
        self._brake.taken(job.domain if self._brake.counts_domains else "")
        self._end(job, MessageState.SENT, answer, EventKind.SENT)
        self._takes_again(job)

    def put_off(self, job: Job[ContentT], answer: str, *, slow_down: bool = False) -> None:
        """It is to be tried again later. `slow_down`: nothing more to the recipient's domain for a while."""
        if self._was_barred(job):
            return
        self._was_tried(job)
        self._result.put_off += 1
        rest = RETRY_AFTER[min(job.message.attempts, len(RETRY_AFTER) - 1)]
        self._end(job, MessageState.OPEN, answer, retry_at=clock.now() + timedelta(seconds=rest))
        if slow_down:
            self._slow_down(job.domain)

    def put_off_all(self, job: Job[ContentT], said: str) -> None:
        """The server wants less of us, whoever it is for: this message and all others of the institute wait.

        `said`: its words, without anything about the person. Nothing counts as a try.
        """
        if self._was_barred(job):
            return
        self._slow_down(rate_limit.EVERYTHING)
        self._result.why_later = f"the relay wants less of us for now: »{said}«"
        self._rests(job)

    def refused(self, job: Job[ContentT], answer: str, event: EventKind, status: str, *, said: str) -> None:
        """It was refused for good; the bank is told so by the event and its status.

        `said`: the server's words, without anything about the person. Raises StageError when too much was refused.
        """
        if self._was_barred(job):
            return
        self._was_tried(job)
        self._result.rejected += 1
        self._end(job, MessageState.REJECTED, answer, event, status)
        domain = job.domain
        decision = self._brake.refused(domain, said)
        if decision.stop:
            raise StageError(
                f"The server {decision.stop}. That is more than a list has that is kept. Everything not handed over is "
                "still open: find out why the server refuses us, then clear `dispatch`."
            )
        if domain and (decision.rest or domain in self._resting):
            self._slow_down(domain)
        if decision.rest:
            log.warning("%s rests for a while: it %s", domain, decision.rest)

    def withheld(self, job: Job[ContentT], reason: Reason) -> None:
        """It cannot go out on this channel, and nothing of it was sent."""
        if self._was_barred(job):
            return
        self._withhold(job, reason)

    def lost(self, job: Job[ContentT]) -> None:
        """It was begun and its answer never came, so it may have got there: in doubt."""
        self._result.in_doubt += 1
        self._end(job, MessageState.IN_DOUBT)

    def returned(self, job: Job[ContentT]) -> None:
        """Nothing of the message was sent: it waits its turn again."""
        del self._in_hand[job.id]
        if job.id not in self._barred:
            heapq.heappush(self._jobs, job)

    # ------------------------------------------------------------------

    def _replenish(self) -> None:
        batch = self._writer.next_batch(held=len(self._jobs))
        if batch is None:
            return
        moment = time.monotonic()
        self._result.withheld += batch.withheld
        for domain in batch.slowed:
            self._resting.setdefault(domain, 0.0)
        for wait, message in batch.messages:
            heapq.heappush(self._jobs, Job(moment + wait if wait > 0 else 0.0, message.id, batch.fence, message))

    def _renew(self) -> None:
        """Renew the right to go on, and leave out whoever is barred by now."""
        not_begun = {job.id: job for job in self._jobs} | self._in_hand
        for id_ in self._lease_guard.renew(not_begun, self._writer.fences) - self._barred:
            self._barred.add(id_)
            self._result.withheld += 1
            self._writer.bar(not_begun[id_].fence, id_)

    def _was_barred(self, job: Job[ContentT]) -> bool:
        """Whether it is withheld already; then what a server says to its envelope changes nothing."""
        if job.id not in self._barred or job.begun_at is not None:
            return False
        del self._in_hand[job.id]
        return True

    def _was_tried(self, job: Job[ContentT]) -> None:
        """It counts as a try even if it was answered before its content was sent."""
        if job.begun_at is None:
            job.begun_at = clock.now()

    def _cannot_be_filled(self, job: Job[ContentT], fault: MessageFault) -> None:
        """An address that is none is the person's matter; anything else is ours, and is told when the rest is sent."""
        if fault.unreachable:
            self._withhold(job, Reason.ADRESSE_UNGUELTIG)
        else:
            self._faults.append(fault)
            self._end(job, MessageState.OPEN, retry_at=clock.now() + timedelta(hours=1))

    def _rests(self, job: Job[ContentT]) -> bool:
        """Whether its domain or everything rests; then the message is put off, without having been tried."""
        if not self._resting:
            return False
        ends = max(self._resting.get(name, 0.0) for name in (rate_limit.EVERYTHING, job.domain))
        seconds = ends - time.monotonic()
        if seconds <= 0:
            return False
        self._end(job, MessageState.OPEN, retry_at=clock.now() + timedelta(seconds=seconds))
        return True

    def _slow_down(self, domain: str) -> None:
        """Let it rest, once: what was on its way when the rest began does not prolong it."""
        moment, blz = time.monotonic(), self._plan.institute.blz
        if self._resting.get(domain, 0.0) > moment:
            return
        self._resting[domain] = moment + rate_limit.SLOWED_FOR[0]
        self._writer.run(lambda connection: rate_limit.slow_down(connection, blz, domain))

    def _takes_again(self, job: Job[ContentT]) -> None:
        """What was on its way when the rest began does not end it."""
        if not self._resting:
            return
        moment, blz = time.monotonic(), self._plan.institute.blz
        for name in {rate_limit.EVERYTHING, job.domain} & self._resting.keys():
            if self._resting[name] > moment:
                continue
            del self._resting[name]
            self._writer.run(partial(rate_limit.takes_again, institute=blz, domain=name))

    def _withhold(self, job: Job[ContentT], reason: Reason) -> None:
        self._result.withheld += 1
        self._end(job, MessageState.WITHHELD, "", reason.event, reason.code)

    def _end(
        self,
        job: Job[ContentT],
        state: MessageState,
        answer: str = "",
        event: EventKind | None = None,
        reason: str = "",
        retry_at: datetime | None = None,
    ) -> None:
        self._in_hand.pop(job.id, None)
        tried = job.begun_at is not None
        ended = Ended(
            job.id,
            state.value,
            job.begun_at,
            clock.now(),
            answer,
            event.value if event else "",
            reason,
            job.content.message_id if tried else job.message.message_id,
            job.content.medium if tried else "",
            retry_at,
        )
        self._writer.end(job.fence, ended)
