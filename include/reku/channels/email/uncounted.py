"""Mails that nobody counts: control copies and test mails, filled for somebody invented and sent past the ledger.

Their links lead straight to their targets, they have no pixel, and what comes back for them concerns no message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reku.channels.email.media.compile import CompiledMedium
from reku.channels.email.media.fill import Mail, fill
from reku.channels.email.media.links import Links
from reku.channels.email.smtp.answers import Answer, Outcome
from reku.channels.email.smtp.handover import hand_over
from reku.channels.email.smtp.transport import Relay
from reku.channels.email.smtp.wire import SmtpMail
from reku.dispatch.channel import ControlCopyResult
from reku.foundation.settings import settings


def uncounted_mail(
    medium: CompiledMedium,
    person: Mapping[str, str],
    name: str,
    *,
    order_number: str,
    delivery_number: int = 0,
    mark: str = "",
) -> Mail:
    """The mail of an invented person. `name`: stands in return path and Message-ID; `mark`: before the subject.

    Raises MailFault as `fill` does.
    """
    links = Links(
        return_path=f"b+{name}",
        message_id=name,
        unsubscribe_url=f"{settings().tracker_url.rstrip('/')}/u/vorschau",
        open_pixel_url=None,
        click_url=lambda _number, target: target,
    )
    return fill(medium, person, links, order_number=order_number, delivery_number=delivery_number, mark=mark)


def send_uncounted(mails: Sequence[Mail], result: ControlCopyResult) -> None:
    """Send the mails, and tell what became of each, also if it raises. Raises SessionError and LoginRefused."""
    hand_over(_Uncounted([*mails], result), Relay.from_settings(settings()), connections=1)


class _Uncounted:
    """A queue that knows nothing but its few mails."""

    def __init__(self, mails: list[Mail], result: ControlCopyResult) -> None:
        self._mails, self._result = mails, result

    def next_mail(self) -> Mail | None:
        return self._mails.pop() if self._mails else None

    def seconds_until_next(self) -> float | None:
        return 0.0 if self._mails else None

    def start(self, _mail: SmtpMail) -> bool:
        return True

    def answered(self, _mail: SmtpMail, answer: Answer) -> None:
        if answer.outcome is Outcome.ACCEPTED:
            self._result.taken += 1
        else:
            self._result.refusals.append(answer.short or answer.outcome.value)

    def lost(self, _mail: SmtpMail) -> None:
        self._result.refusals.append("no answer")

    def returned(self, _mail: SmtpMail) -> None:
        """The session failed, which the hand-over raises."""

    def heartbeat(self) -> None:
        """Nothing to look after."""
