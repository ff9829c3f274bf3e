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
from reku.dispatch.plan import Route
from reku.foundation import clock
from reku.foundation.settings import settings
from reku.store.tables import deliveries

log = logging.getLogger(__name__)


@dataclass
class _Copies:
    """An errand that knows nothing but its few mails."""

    mails: list[Mail]
    taken: int = 0
    refusals: list[str] = field(default_factory=list)

    def take(self) -> Handable | None:
        return self.mails.pop() if self.mails else None

    def pause(self) -> float | None:
        return 0.0 if self.mails else None

    def begin(self, mail: Handable) -> bool:  # noqa: ARG002 - see Errand
        return True

    def answered(self, mail: Handable, answer: Answer) -> None:  # noqa: ARG002 - see Errand
        if answer.outcome is Outcome.ACCEPTED:
            self.taken += 1
        else:
            self.refusals.append(answer.short or answer.outcome.value)

    def unanswered(self, mail: Handable) -> None:  # noqa: ARG002 - see Errand
        self.refusals.append("no answer")

    def untouched(self, mail: Handable) -> None:
        """The session failed, which the hand-over raises."""

    def tick(self) -> None:
        """Nothing to look after."""


def send_control_copy(engine: sa.Engine, way: Route, media: Mapping[str, CompiledMedium], delivery: int) -> None:
    """Send the copy once per delivery, one of each medium, if the institute has a control address.

    A refusal is logged and stops nothing. Raises SessionError when there is no session with the relay; then the next
    dispatch sends the copy.
    """
    address = way.institute.control_address
    if address is None or not _claim(engine, delivery):
        return
    copies = _Copies([_copy(way, medium, delivery, address) for medium in media.values()])
    try:
        hand_over(copies, Relay.from_settings(settings()), connections=1)
    except BaseException:  # interrupted or failed: only a copy that was taken counts as sent
        if not copies.taken:
            _set(engine, delivery, None)
        raise
    if copies.refusals:
        log.warning("delivery %d: the control copy was not taken: %s", delivery, ", ".join(copies.refusals))


def _copy(way: Route, medium: CompiledMedium, delivery: int, address: str) -> Mail:
    person = sample_person(way.institute) | {"EMail": address, "Anlass_Code": way.occasion}
    nowhere = f"{settings().tracker_url.rstrip('/')}/u/vorschau"
    links = Links(
        reference=f"kontrolle-{delivery}-{medium.medium.key.lower()}",
        unsubscribe_url=nowhere,
        open_pixel_url=None,
        click_url=lambda _number, target: target,
    )
    return fill(medium, person, links, order_number=way.order_number, delivery_number=way.delivery_number)


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
