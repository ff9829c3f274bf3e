"""One dispatcher's work on one delivery, as the hand-over asks for it: which mail next, may it go, how did it end."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from reku.catalogue.bounce_rules import BounceClass, classify_bounce
from reku.channels.email.media.compile import CompiledMedium
from reku.channels.email.media.fill import Mail, MailFault, fill
from reku.channels.email.media.links import Mailing, links_for
from reku.channels.email.smtp.handover import Answer, Handable, Outcome
from reku.contact.reasons import Reason
from reku.dispatch import rate_limits
from reku.dispatch.claim import Claimed
from reku.dispatch.journal import Begun, Ended
from reku.dispatch.lease import LeaseGuard
from reku.dispatch.ledger_writer import LedgerWriter
from reku.dispatch.plan import SendPlan
from reku.dispatch.progress import Dispatched
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.store.kinds import ResponseKind
from reku.store.states import MessageState

BLOCKED_IN_A_ROW = 20
"""So many refusals in a row that are not about the person mean that the relay refuses us: stop."""
RETRY_AFTER = (60, 300, 900, 1800)
"""Seconds until a message is tried again after its first, second … temporary refusal."""
_LOOK_AGAIN = 0.002  # seconds between two looks for a batch that is being claimed


@dataclass(order=True)
class _Job:
    """One claimed message, not to be handed over before `at` (monotonic seconds), and its mail once it is filled."""

    at: float
    id: int
    fence: int = field(compare=False)
    message: Claimed = field(compare=False)
    mail: Mail | None = field(default=None, compare=False)
    medium: str = field(default="", compare=False)
    begun_at: datetime | None = field(default=None, compare=False)

    # what the hand-over needs of a mail; a job is filled before it is given away
    @property
    def filled(self) -> Mail:
        return cast("Mail", self.mail)

    @property
    def envelope_from(self) -> str:
        return self.filled.envelope_from

    @property
    def envelope_to(self) -> str:
        return self.filled.envelope_to

    @property
    def data(self) -> bytes:
        return self.filled.data

    @property
    def smtputf8(self) -> bool:
        return self.filled.smtputf8

    @property
    def domain(self) -> str:
        return rate_limits.domain(self.message.address)


class DeliveryQueue:
    """Hands over what is due of a delivery. Use as a context manager, which puts everything not handed over back."""

    def __init__(
        self,
        plan: SendPlan,
        media: Mapping[str, CompiledMedium],
        writer: LedgerWriter,
        lease_guard: LeaseGuard,
        until: datetime,
        done: Dispatched,
        show: Callable[[Dispatched], None],
    ) -> None:
        self._plan, self._media, self._writer, self._lease_guard, self._until = plan, media, writer, lease_guard, until
        self.done, self._show = done, show
        self._mailings = {key: Mailing(plan.delivery, key) for key in media}
        self._jobs: list[_Job] = []
        self._in_hand: dict[int, _Job] = {}
        self._barred: set[int] = set()
        self._faults: list[MailFault] = []
        self._blocked_in_a_row = 0
        self._resting: dict[str, float] = {}
        self._is_over = clock.now() >= until

    def __enter__(self) -> DeliveryQueue:
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
                f"{len(self._faults)} messages cannot be made into mails and are still open; everybody else has been "
                f"served. The first: {self._faults[0]}"
            )

    def stop(self) -> None:
        """Begin nothing more; may be called by a signal handler."""
        self._is_over = True

    # ------------------------------------------------------------------ what the hand-over asks

    def next_mail(self) -> Handable | None:
        """The next mail whose time has come, filled; None if there is none at this moment."""
        if self._is_over:
            return None
        self._replenish()
        while self._jobs and self._jobs[0].at <= time.monotonic():
            job = heapq.heappop(self._jobs)
            if job.id in self._barred or self._rests(job):
                continue
            try:
                self._fill(job)
            except MailFault as fault:
                self._cannot_be_filled(job, fault)
                continue
            self._in_hand[job.id] = job
            return job
        return None

    def seconds_until_next(self) -> float | None:
        """Seconds until `next_mail` may have another one; None when there is none any more, or it is time to end."""
        if self._is_over:
            return None
        self._replenish()
        if self._jobs:
            return max(0.0, self._jobs[0].at - time.monotonic())
        return None if self._writer.exhausted and not self._writer.is_claiming else _LOOK_AGAIN

    def start(self, mail: Handable) -> bool:
        """Whether the mail may still go out; if so, its beginning is in the journal when this returns."""
        job = cast("_Job", mail)
        if not self._lease_guard.is_fresh:
            self._look()
        if self._is_over or job.id in self._barred:
            del self._in_hand[job.id]
            return False
        begun_at = clock.now()
        self._writer.begin(job.fence, Begun(job.id, begun_at, job.filled.message_id, job.medium))
        job.begun_at = begun_at
        del self._in_hand[job.id]
        return True

    def answered(self, mail: Handable, answer: Answer) -> None:
        """Note the server's answer. Raises StageError when the server refuses everybody."""
        job = cast("_Job", mail)
        if job.id in self._barred and job.begun_at is None:
            del self._in_hand[job.id]
            return  # withheld already; the server's answer to its envelope changes nothing
        if answer.code and job.begun_at is None:
            job.begun_at = clock.now()  # tried, and refused before its content was sent
        if answer.outcome is Outcome.ACCEPTED:
            self.done.sent += 1
            self._blocked_in_a_row = 0
            self._end(job, MessageState.SENT, answer.short, ResponseKind.VERS)
            self._at_ease(job)
        elif answer.outcome is Outcome.LATER:
            self.done.put_off += 1
            rest = RETRY_AFTER[min(job.message.attempts, len(RETRY_AFTER) - 1)]
            self._end(job, MessageState.OPEN, answer.short, retry_at=clock.now() + timedelta(seconds=rest))
            if answer.code == 421:
                self._slow_down(job)
        elif answer.outcome is Outcome.UNADDRESSABLE:
            self._withhold(job, Reason.ADRESSE_UNGUELTIG)
        else:
            self._rejected(job, answer)

    def lost(self, mail: Handable) -> None:
        """The mail's dot may have reached the server, and the answer never came: in doubt."""
        self.done.in_doubt += 1
        self._end(cast("_Job", mail), MessageState.IN_DOUBT)

    def returned(self, mail: Handable) -> None:
        """No byte of the mail was sent: it waits its turn again."""
        job = cast("_Job", mail)
        del self._in_hand[job.id]
        if job.id not in self._barred:
            heapq.heappush(self._jobs, job)

    def heartbeat(self) -> None:
        """Look whether the dispatch may go on, and record what has come in."""
        self._is_over = self._is_over or clock.now() >= self._until
        if not self._lease_guard.is_fresh:
            self._look()
        self._writer.tick()
        self._show(self.done)

    # ------------------------------------------------------------------ one mail

    def _replenish(self) -> None:
        batch = self._writer.next_batch(held=len(self._jobs))
        if batch is None:
            return
        moment = time.monotonic()
        self.done.withheld += batch.withheld
        for domain in batch.slowed:
            self._resting.setdefault(domain, 0.0)
        for wait, message in batch.mails:
            heapq.heappush(self._jobs, _Job(moment + wait if wait > 0 else 0.0, message.id, batch.fence, message))

    def _look(self) -> None:
        """Look afresh, and leave out whoever is barred by now."""
        not_begun = {job.id: job for job in self._jobs} | self._in_hand
        for id_ in self._lease_guard.renew(not_begun, self._writer.fences) - self._barred:
            self._barred.add(id_)
            self.done.withheld += 1
            self._writer.bar(not_begun[id_].fence, id_)

    def _fill(self, job: _Job) -> None:
        if job.mail is not None:
            return
        message = job.message
        medium = self._plan.medium_for(message.fields)
        job.medium = medium.key
        job.mail = fill(
            self._media[medium.key],
            message.fields,
            links_for(message.id, self._mailings[medium.key], tracking=message.tracking),
            order_number=self._plan.order_number,
            delivery_number=self._plan.delivery_number,
            message_id=message.message_id,
        )

    def _cannot_be_filled(self, job: _Job, fault: MailFault) -> None:
        """An address that is none is the person's matter; anything else is ours, and is told when the rest is sent."""
        if fault.field == "EMail":
            self._withhold(job, Reason.ADRESSE_UNGUELTIG)
        else:
            self._faults.append(fault)
            self._end(job, MessageState.OPEN, retry_at=clock.now() + timedelta(hours=1))

    def _rests(self, job: _Job) -> bool:
        """Whether the mail's domain has answered 421; then it is put off, without having been tried."""
        if not self._resting:
            return False
        seconds = self._resting.get(job.domain, 0.0) - time.monotonic()
        if seconds <= 0:
            return False
        self._end(job, MessageState.OPEN, retry_at=clock.now() + timedelta(seconds=seconds))
        return True

    def _slow_down(self, job: _Job) -> None:
        blz, domain = self._plan.institute.blz, job.domain
        self._resting[domain] = time.monotonic() + rate_limits.SLOWED_FOR[0]
        self._writer.run(lambda connection: rate_limits.slow_down(connection, blz, domain))

    def _at_ease(self, job: _Job) -> None:
        if self._resting and self._resting.pop(job.domain, None) is not None:
            blz, domain = self._plan.institute.blz, job.domain
            self._writer.run(lambda connection: rate_limits.at_ease(connection, blz, domain))

    def _rejected(self, job: _Job, answer: Answer) -> None:
        self.done.rejected += 1
        found = classify_bounce(answer.enhanced, f"{answer.code} {answer.text}")
        self._blocked_in_a_row = 0 if found.bounce_class is BounceClass.HARD else self._blocked_in_a_row + 1
        kind = ResponseKind(found.bounce_class.event)
        self._end(job, MessageState.REJECTED, answer.short, kind, found.status)
        if self._blocked_in_a_row >= BLOCKED_IN_A_ROW:
            raise StageError(
                f"The server refused {BLOCKED_IN_A_ROW} mails in a row, the last with {answer.short}, for reasons that "
                "are not the people's addresses. Everything not handed over is still open: find out why the server "
                "refuses our mails, then clear `dispatch`."
            )

    def _withhold(self, job: _Job, reason: Reason) -> None:
        self.done.withheld += 1
        self._end(job, MessageState.WITHHELD, "", reason.response, reason.code)

    def _end(
        self,
        job: _Job,
        state: MessageState,
        answer: str = "",
        event: ResponseKind | None = None,
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
            job.filled.message_id if tried else job.message.message_id,
            job.medium if tried else "",
            retry_at,
        )
        self._writer.end(job.fence, ended)
