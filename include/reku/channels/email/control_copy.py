"""The control copy as mails: one of each medium for the bank's control address, filled for an invented person."""

from __future__ import annotations

from collections.abc import Mapping

from reku.channels.email.media.compile import CompiledMedium
from reku.channels.email.media.fill import Mail
from reku.channels.email.media.people import sample_person
from reku.channels.email.uncounted import send_uncounted, uncounted_mail
from reku.dispatch.channel import ControlCopyResult
from reku.dispatch.plan import SendPlan


def send_control_copy(plan: SendPlan, media: Mapping[str, CompiledMedium], result: ControlCopyResult) -> None:
    """Send the copies, and tell what became of each, also if it raises. Raises SessionError and LoginRefused."""
    send_uncounted([_copy(plan, medium) for medium in media.values()], result)


def _copy(plan: SendPlan, medium: CompiledMedium) -> Mail:
    person = sample_person(plan.institute, plan.institute.control_address or "", plan.occasion)
    name = f"kontrolle-{plan.delivery}-{medium.medium.key.lower()}"
    return uncounted_mail(medium, person, name, order_number=plan.order_number, delivery_number=plan.delivery_number)
