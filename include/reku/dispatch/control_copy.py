"""One uncounted copy of a delivery's mail for the institute's control address (Kontrolladresse).

It is filled for an invented person and its links lead nowhere that counts: nobody's data leaves the house for it, and a
click by the bank's own staff unsubscribes nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from reku.channels.email.media.compile import CompiledMedium
from reku.channels.email.media.fill import Mail, fill
from reku.channels.email.media.links import Links
from reku.channels.email.media.preview import sample_person
from reku.channels.email.smtp.handover import Answer, Handable, Outcome, Relay, hand_over
from reku.dispatch.plan import SendPlan
from reku.foundation import clock
from reku.foundation.settings import settings
from reku.store.tables import deliveries

log = logging.getLogger(__name__)


@dataclass
class _Copies:
    """A queue that knows nothing but its few mails."""

    mails: list[Mail]
    taken: int = 0
    refusals: list[str] = field(default_factory=list)

    def next_mail(self) -> Handable | None:
        return self.mails.pop() if self.mails else None

    def seconds_until_next(self) -> float | None:
        return 0.0 if self.mails else None

    def start(self, mail: Handable) -> bool:  # noqa: ARG002 - see MailQueue
        return True

    def answered(self, mail: Handable, answer: Answer) -> None:  # noqa: ARG002 - see MailQueue
        if answer.outcome is Outcome.ACCEPTED:
            self.taken += 1
        else:
            self.refusals.append(answer.short or answer.outcome.value)

    def lost(self, mail: Handable) -> None:  # noqa: ARG002 - see MailQueue
        self.refusals.append("no answer")

    def returned(self, mail: Handable) -> None:
        """The session failed, which the hand-over raises."""

    def heartbeat(self) -> None:
        """Nothing to look after."""


def send_control_copy(engine: sa.Engine, plan: SendPlan, media: Mapping[str, CompiledMedium], delivery: int) -> None:
    """Send the copy once per delivery, one of each medium, if the institute has a control address.

    A refusal is logged and stops nothing. Raises SessionError when there is no session with the relay; then the next
    dispatch sends the copy.
    """
    address = plan.institute.control_address
    if address is None or not _claim(engine, delivery):
        return
    copies = _Copies([_copy(plan, medium, delivery, address) for medium in media.values()])
    try:
        hand_over(copies, Relay.from_settings(settings()), connections=1)
    except BaseException:  # interrupted or failed: only a copy that was taken counts as sent
        if not copies.taken:
            _set(engine, delivery, None)
        raise
    if copies.refusals:
        log.warning("delivery %d: the control copy was not taken: %s", delivery, ", ".join(copies.refusals))


def _copy(plan: SendPlan, medium: CompiledMedium, delivery: int, address: str) -> Mail:
    person = sample_person(plan.institute) | {"EMail": address, "Anlass_Code": plan.occasion}
    nowhere = f"{settings().tracker_url.rstrip('/')}/u/vorschau"
    links = Links(
        reference=f"kontrolle-{delivery}-{medium.medium.key.lower()}",
        unsubscribe_url=nowhere,
        open_pixel_url=None,
        click_url=lambda _number, target: target,
    )
    return fill(medium, person, links, order_number=plan.order_number, delivery_number=plan.delivery_number)


def _claim(engine: sa.Engine, delivery: int) -> bool:
    """Whether this dispatch is the one to send the copy."""
    with engine.begin() as connection:
        claimed = connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == delivery, deliveries.c.control_copy_at.is_(None))
            .values(control_copy_at=clock.now())
        )
        return claimed.rowcount == 1


def _set(engine: sa.Engine, delivery: int, moment: None) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(deliveries).where(deliveries.c.id == delivery).values(control_copy_at=moment))
