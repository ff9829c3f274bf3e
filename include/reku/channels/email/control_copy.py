"""The control copy as mails: one of each medium for the bank's control address, filled for an invented person."""

from __future__ import annotations

from collections.abc import Mapping

from reku.channels.email.media.compile import CompiledMedium
from reku.channels.email.media.fill import Mail, fill
from reku.channels.email.media.links import Links
from reku.channels.email.media.preview import sample_person
from reku.channels.email.smtp.answers import Answer, Outcome
from reku.channels.email.smtp.handover import hand_over
from reku.channels.email.smtp.transport import Relay
from reku.channels.email.smtp.wire import SmtpMail
from reku.dispatch.channel import ControlCopyResult
from reku.dispatch.plan import SendPlan
from reku.foundation.settings import settings


class _Copies:
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


def send_control_copy(plan: SendPlan, media: Mapping[str, CompiledMedium], result: ControlCopyResult) -> None:
    """Send the copies, and tell what became of each, also if it raises. Raises SessionError and LoginRefused."""
    copies = _Copies([_copy(plan, medium) for medium in media.values()], result)
    hand_over(copies, Relay.from_settings(settings()), connections=1)


def _copy(plan: SendPlan, medium: CompiledMedium) -> Mail:
    address = plan.institute.control_address or ""
    person = sample_person(plan.institute, address, plan.occasion)
    name = f"kontrolle-{plan.delivery}-{medium.medium.key.lower()}"
    links = Links(
        return_path=f"b+{name}",
        message_id=name,
        unsubscribe_url=f"{settings().tracker_url.rstrip('/')}/u/vorschau",
        open_pixel_url=None,
        click_url=lambda _number, target: target,
    )
    return fill(medium, person, links, order_number=plan.order_number, delivery_number=plan.delivery_number)
