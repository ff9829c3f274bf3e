"""Between the queue (whose mails they are) and the connections: mails taken, and what is reported of them."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Protocol

from reku.channels.email.smtp.answers import Answer, Outcome, SessionError
from reku.channels.email.smtp.transport import Offers, Relay
from reku.channels.email.smtp.wire import Handable, is_sayable, needs_smtputf8

_LEAST_PAUSE = 0.001  # a queue that says 0 and has none must not keep the processor busy


class MailQueue(Protocol):
    """What is to be handed over, and who wants to know how it went."""

    def next_mail(self) -> Handable | None:
        """The next mail for a free connection; None: none at this moment."""

    def seconds_until_next(self) -> float | None:
        """Seconds until `next_mail` may give another one (0: now); None: never again, unless a mail comes back."""

    def start(self, mail: Handable) -> bool:
        """Right before the first byte of its content is sent; False: it must not go out any more."""

    def answered(self, mail: Handable, answer: Answer) -> None:
        """What the server said about this mail."""

    def lost(self, mail: Handable) -> None:
        """It was begun and its answer never came: the server may have it."""

    def returned(self, mail: Handable) -> None:
        """It was taken, but nothing of its content was sent: as if never taken."""

    def heartbeat(self) -> None:
        """Called at least every TICK seconds while mails or answers are waited for; may raise to stop everything.

        Not after an error, nor during a TCP connect or a TLS handshake.
        """


class Desk:
    """Mails that were taken and are on no connection yet. Whatever is said to the queue is said here.

    `failures`: connections lost since the last answer of the relay about a mail.
    """

    def __init__(self, queue: MailQueue, relay: Relay) -> None:
        self._queue, self._relay = queue, relay
        self._mails: deque[Handable] = deque()
        self._take_at = 0.0
        self.failures = 0

    @property
    def done(self) -> bool:
        """Whether nothing is here, and nothing more will come unless a mail comes back."""
        return not self._mails and self._take_at == math.inf

    @property
    def seconds_to_wait(self) -> float:
        """How long there is no mail to be had; 0 or less: there may be one now."""
        return self._take_at - time.monotonic()

    def next(self) -> Handable | None:
        """The mail that is next. It stays here until it is picked up."""
        if not self._mails and time.monotonic() >= self._take_at:
            mail = self._queue.next_mail()
            if mail is not None:
                self._mails.append(mail)
            else:
                pause = self._queue.seconds_until_next()
                self._take_at = math.inf if pause is None else time.monotonic() + max(pause, _LEAST_PAUSE)
        return self._mails[0] if self._mails else None

    def next_for(self, offers: Offers) -> Handable | None:
        """The mail that is next and that can be said to a relay with these offers; the others are answered.

        Raises SessionError for a mail that is larger than the relay takes.
        """
        while (mail := self.next()) is not None:
            if offers.size and len(mail.data) > offers.size:
                raise SessionError(
                    f"A mail of {len(mail.data)} bytes is to go out, and the relay {self._relay.place} takes at most "
                    f"{offers.size}. Everything not handed over is still open: make the medium smaller, or have the "
                    "relay take more, then clear `dispatch`."
                )
            if is_sayable(mail) and (offers.smtputf8 or not needs_smtputf8(mail)):
                return mail
            self.pick_up()
            self._take_at = 0.0
            self._queue.answered(mail, Answer(Outcome.UNADDRESSABLE))
        return None

    def pick_up(self) -> Handable | None:
        """The mail that is next leaves the desk; None if there is none."""
        return self._mails.popleft() if self._mails else None

    def start(self, mail: Handable) -> bool:
        """Whether its content may go out."""
        return self._queue.start(mail)

    def answered(self, mail: Handable, answer: Answer) -> None:
        """The relay has answered: it works."""
        self.failures = 0
        self._take_at = 0.0  # a mail that was put off may come back
        self._queue.answered(mail, answer)

    def lost(self, mail: Handable) -> None:
        """It was begun, and its connection was lost."""
        self._take_at = 0.0
        self._queue.lost(mail)

    def returned(self, mail: Handable) -> None:
        """It comes back as it was taken."""
        self._take_at = 0.0
        self._queue.returned(mail)

    def heartbeat(self) -> None:
        """Time goes on."""
        self._queue.heartbeat()
