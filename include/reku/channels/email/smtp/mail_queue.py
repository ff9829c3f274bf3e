"""What mails are handed over from: a queue, and the next mail of it, seen before it is taken."""

from __future__ import annotations

import math
import time
from typing import Protocol

from reku.channels.email.smtp.answers import Answer, Outcome, SessionError
from reku.channels.email.smtp.transport import Offers, Relay
from reku.channels.email.smtp.wire import SmtpMail, is_sayable, needs_smtputf8

_LEAST_PAUSE = 0.001  # a queue that says 0 and has none must not keep the processor busy


class MailQueue(Protocol):
    """What is to be handed over, and who wants to know how it went."""

    def next_mail(self) -> SmtpMail | None:
        """The next mail for a free connection; None: none at this moment."""

    def seconds_until_next(self) -> float | None:
        """Seconds until `next_mail` may give another one (0: now); None: never again, unless a mail comes back."""

    def start(self, mail: SmtpMail) -> bool:
        """Right before the first byte of its content is sent; False: it must not go out any more."""

    def answered(self, mail: SmtpMail, answer: Answer) -> None:
        """What the server said about this mail."""

    def lost(self, mail: SmtpMail) -> None:
        """It was begun and its answer never came: the server may have it."""

    def returned(self, mail: SmtpMail) -> None:
        """It was taken, but nothing of its content was sent: as if never taken."""

    def heartbeat(self) -> None:
        """Called at least every TICK seconds while mails or answers are waited for; may raise to stop everything.

        Not after an error, nor during a TCP connect or a TLS handshake.
        """


class Lookahead:
    """The next mail of a queue: not every relay can be told every mail, so it is looked at before it is taken."""

    def __init__(self, queue: MailQueue, relay: Relay) -> None:
        self._queue, self._relay = queue, relay
        self._mail: SmtpMail | None = None
        self._ask_at = 0.0

    @property
    def is_exhausted(self) -> bool:
        """Whether there is none, and none will come unless a mail comes back."""
        return self._mail is None and self._ask_at == math.inf

    @property
    def seconds_to_wait(self) -> float:
        """How long there is no mail to be had; 0 or less: there may be one now."""
        return self._ask_at - time.monotonic()

    def peek(self) -> SmtpMail | None:
        """The mail that is next; None: none at this moment."""
        if self._mail is None and time.monotonic() >= self._ask_at:
            self._mail = self._queue.next_mail()
            if self._mail is None:
                pause = self._queue.seconds_until_next()
                self._ask_at = math.inf if pause is None else time.monotonic() + max(pause, _LEAST_PAUSE)
        return self._mail

    def peek_for(self, offers: Offers) -> SmtpMail | None:
        """The mail that is next and that can be said to a relay with these offers; the others are answered.

        Raises SessionError for a mail that is larger than the relay takes.
        """
        while (mail := self.peek()) is not None:
            if offers.size and len(mail.data) > offers.size:
                raise SessionError(
                    f"A mail of {len(mail.data)} bytes is to go out, and the relay {self._relay.place} takes at most "
                    f"{offers.size}. Everything not handed over is still open: make the medium smaller, or have the "
                    "relay take more, then clear `dispatch`."
                )
            if is_sayable(mail) and (offers.smtputf8 or not needs_smtputf8(mail)):
                return mail
            self.take()
            self.ask_again()
            self._queue.answered(mail, Answer(Outcome.UNADDRESSABLE))
        return None

    def take(self) -> SmtpMail | None:
        """Take the mail that is next; None if it has not been looked at, or there is none."""
        mail, self._mail = self._mail, None
        return mail

    def ask_again(self) -> None:
        """Something was reported to the queue: it may have a mail now."""
        self._ask_at = 0.0
