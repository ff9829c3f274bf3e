"""E-mail as a channel: media filled for each person and handed over to a relay by SMTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reku.catalogue.institute import Institute, RateLimits
from reku.channels.email.control_copy import send_control_copy
from reku.channels.email.media.compile import CompiledMedium, compile_medium
from reku.channels.email.media.fill import MailFault, fill
from reku.channels.email.media.links import SharedLinks, links_for
from reku.channels.email.media.placeholders import ADDRESS, REFERENCE
from reku.channels.email.media.variants import compiled_variants
from reku.channels.email.queued_mails import QueuedMail, QueuedMails
from reku.channels.email.smtp.handover import hand_over
from reku.channels.email.smtp.transport import Relay
from reku.contact.reasons import Reason
from reku.dispatch.channel import ControlCopyResult, MessageFault
from reku.dispatch.claim import Claimed
from reku.dispatch.dispatcher import Dispatcher
from reku.dispatch.plan import SendPlan
from reku.foundation import addresses
from reku.foundation.settings import settings


@dataclass(frozen=True)
class EmailChannel:
    """E-mail to the address that was delivered."""

    name: str = "email"
    barred_by: frozenset[Reason] = frozenset(Reason)

    @property
    def processes(self) -> int:
        """As many as the settings say."""
        return settings().dispatch_processes

    def limits(self, institute: Institute) -> RateLimits:
        """Those of the bank's file; a recipient's domain that answers 421 rests."""
        return institute.limits

    def recipient_key(self, institute: str, person_number: str, address: str) -> str:  # noqa: ARG002 - see Channel
        """A hash of the address: two people who share one get one mail."""
        return addresses.address_hmac(institute, address)

    def prepare(self, plan: SendPlan) -> PreparedEmail:
        """The campaign's media and variants, compiled. Raises ConfigError with file and line."""
        media = {key: compile_medium(medium, plan.institute) for key, medium in plan.media.items()}
        return PreparedEmail(plan, media | compiled_variants(plan.institute, plan.campaign, plan.media))


EMAIL = EmailChannel()


@dataclass(frozen=True)
class PreparedEmail:
    """A delivery's mails: its plan, and its compiled media by their keys, or by the names of variants."""

    plan: SendPlan
    media: Mapping[str, CompiledMedium]
    _shared_links: dict[str, SharedLinks] = field(init=False)

    def __post_init__(self) -> None:
        shared_links = {key: SharedLinks(self.plan.delivery, key) for key in self.plan.media}
        object.__setattr__(self, "_shared_links", shared_links)

    def send(self, dispatcher: Dispatcher) -> None:
        """Hand over mail by mail. Raises SessionError and LoginRefused besides what `open_queue` raises."""
        own = settings()
        with dispatcher.open_queue(self.fill) as queue:
            hand_over(QueuedMails(queue), Relay.from_settings(own), connections=own.smtp_connections)

    def fill(self, message: Claimed) -> QueuedMail:
        """The mail of one claimed message. Raises MessageFault."""
        medium = self.plan.medium_for(message.content_key, message.variant)
        links = links_for(message.id, self._shared_links[medium.key], tracking=message.tracking)
        try:
            mail = fill(
                self.media.get(message.variant, self.media[medium.key]),
                message.fields | {REFERENCE: message.reference},
                links,
                order_number=self.plan.order_number,
                delivery_number=self.plan.delivery_number,
                message_id=message.message_id,
            )
        except MailFault as fault:
            raise MessageFault(str(fault), unreachable=fault.field == ADDRESS) from None
        return QueuedMail(mail, medium.key)

    @property
    def has_control_copy(self) -> bool:
        """Whether the bank's file has a control address."""
        return self.plan.institute.control_address is not None

    def send_control_copy(self, result: ControlCopyResult) -> None:
        """One mail of each medium to the control address. Raises SessionError without a session with the relay."""
        send_control_copy(self.plan, self.media, result)
