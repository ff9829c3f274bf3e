"""The three channels of what the bank's own places show: their messages wait for the day's file for agree21BAP."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from reku.catalogue.channel_name import ChannelName
from reku.catalogue.institute import Institute, RateLimits
from reku.contact.reasons import Reason, reasons_against
from reku.dispatch.channel import ControlCopyResult
from reku.dispatch.dispatcher import Dispatcher
from reku.dispatch.ledger import Due
from reku.dispatch.plan import SendPlan
from reku.foundation.addresses import key_of_person
from reku.pickup.prepare import take_in_hand
from reku.store.tables import messages
from reku.vault.erasure import erasure_on_record
from reku.vault.sealed_rows import forget_rows


@dataclass(frozen=True)
class ShownChannel:
    """One of the places. What is shown there stands in the bank's own system, under the key of the medium."""

    name: ChannelName
    processes: int = 1

    @property
    def barred_by(self) -> frozenset[Reason]:
        """See Channel."""
        return reasons_against(self.name)

    def limits(self, institute: Institute) -> RateLimits | None:  # noqa: ARG002 - see Channel
        """None: a file has no rate."""
        return None

    def recipient_key(self, institute: str, person_number: str, address: str) -> str:  # noqa: ARG002 - see Channel
        """Of the person."""
        return key_of_person(institute, person_number)

    def prepare(self, plan: SendPlan) -> PreparedShownChannel:  # noqa: ARG002 - see Channel
        """Nothing to be compiled: the file names the medium by its key."""
        return PreparedShownChannel()


@dataclass(frozen=True)
class PreparedShownChannel:
    """Such a channel, ready to send."""

    has_control_copy: bool = False

    def send(self, dispatcher: Dispatcher) -> None:
        """All that is due is prepared for the next file."""
        taken = show_next(dispatcher.engine, dispatcher.plan, dispatcher.channel.name, dispatcher.due)
        dispatcher.result.prepared += taken.prepared
        dispatcher.result.withheld += taken.withheld
        dispatcher.show(dispatcher.result)

    def send_control_copy(self, result: ControlCopyResult) -> None:
        """There is none: the bank sees the file before anybody sees what is in it."""


@dataclass(frozen=True)
class ShowResult:
    """How many messages were prepared for the next file, and how many were withheld."""

    prepared: int
    withheld: int


def show_next(engine: sa.Engine, plan: SendPlan, channel: str, due: Due) -> ShowResult:
    """Prepare all messages of a delivery that are due and may go out on the channel, in one transaction.

    The next file for agree21BAP takes them; names and addresses are not needed for it, and leave. Raises what
    `pickup.prepare.take_in_hand` raises; nothing has changed then.
    """
    with engine.begin() as connection, erasure_on_record(connection, plan.institute.blz, plan.delivery):
        taken = take_in_hand(connection, plan, SHOWN_CHANNELS[channel], due)
        ids = [row.id for row in taken.messages]
        rows = connection.scalars(sa.select(messages.c.row_id).where(messages.c.id.in_(ids)))
        forget_rows(connection, [row for row in rows if row is not None])
    return ShowResult(len(ids), taken.withheld)


SHOWN_CHANNELS = {name.value: ShownChannel(name) for name in ChannelName if name.is_shown}
"""On-line banking, terminal and advisor, by their names."""
