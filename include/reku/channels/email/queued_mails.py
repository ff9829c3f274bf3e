"""Between a delivery's queue, which knows messages, and the SMTP hand-over, which knows mails and servers' answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from reku.catalogue.bounce_rules import classify_bounce
from reku.channels.email.media.fill import Mail
from reku.channels.email.smtp.answers import Answer, Outcome
from reku.channels.email.smtp.wire import SmtpMail
from reku.contact.reasons import Reason
from reku.dispatch.queue import DeliveryQueue, Job
from reku.store.kinds import EventKind

_SLOW_DOWN = 421
"""RFC 5321 section 4.2.3: the service is not available. To one recipient it means that his server wants less."""


class QueuedMail:
    """A filled mail that knows the job it was made for."""

    __slots__ = ("data", "envelope_from", "envelope_to", "job", "medium", "message_id", "smtputf8")

    job: Job[QueuedMail]

    def __init__(self, mail: Mail, medium: str) -> None:
        self.message_id, self.envelope_from, self.envelope_to, self.data, self.smtputf8 = mail
        self.medium = medium


@dataclass(frozen=True, slots=True)
class QueuedMails:
    """A delivery's queue as the hand-over wants it."""

    queue: DeliveryQueue[QueuedMail]

    def next_mail(self) -> QueuedMail | None:
        """The mail of the next job."""
        job = self.queue.next_job()
        if job is None:
            return None
        mail = job.content
        mail.job = job
        return mail

    def seconds_until_next(self) -> float | None:
        """As the queue says."""
        return self.queue.seconds_until_next()

    def start(self, mail: SmtpMail) -> bool:
        """Whether the mail may still go out."""
        return self.queue.start(_job(mail))

    def answered(self, mail: SmtpMail, answer: Answer) -> None:
        """Tell the queue what the answer means. Raises StageError when the server refuses too much."""
        job = _job(mail)
        if answer.outcome is Outcome.ACCEPTED:
            self.queue.sent(job, answer.short)
        elif answer.outcome is Outcome.LATER:
            self.queue.put_off(job, answer.short, slow_down=answer.code == _SLOW_DOWN)
        elif answer.outcome is Outcome.ALL_LATER:
            self.queue.put_off_all(job, answer.said(mail.envelope_to, mail.envelope_from))
        elif answer.outcome is Outcome.UNADDRESSABLE:
            self.queue.withheld(job, Reason.ADRESSE_UNGUELTIG)
        else:
            bounce = classify_bounce(answer.enhanced, f"{answer.code} {answer.text}")
            event, said = EventKind(bounce.bounce_class.event), answer.said(mail.envelope_to, mail.envelope_from)
            self.queue.refused(job, answer.short, event, bounce.status, said=said)

    def lost(self, mail: SmtpMail) -> None:
        """Its answer never came."""
        self.queue.lost(_job(mail))

    def returned(self, mail: SmtpMail) -> None:
        """Nothing of it was sent."""
        self.queue.returned(_job(mail))

    def heartbeat(self) -> None:
        """Let the queue see whether the dispatch may go on."""
        self.queue.heartbeat()


def _job(mail: SmtpMail) -> Job[QueuedMail]:
    return cast("QueuedMail", mail).job
