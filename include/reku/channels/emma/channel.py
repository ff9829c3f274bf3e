"""EMMA as a channel: people are brought into the order's list, and the campaign there sends to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from reku.catalogue.channel_name import ChannelName
from reku.catalogue.institute import Institute, RateLimits
from reku.channels.emma.accounts import open_client
from reku.channels.emma.importing import ImportState, carry_on, unfinished_imports
from reku.channels.emma.order_list import check_email, find_or_make_list, order_list
from reku.channels.emma.rows import EMMA_ROWS
from reku.contact.reasons import EVERY_REASON, Reason
from reku.dispatch.channel import ControlCopyResult
from reku.dispatch.dispatcher import Dispatcher
from reku.dispatch.ledger import count_due
from reku.dispatch.plan import SendPlan
from reku.foundation import clock
from reku.foundation.addresses import address_hmac
from reku.pickup.prepare import prepare_file

NEXT_LOOK = timedelta(seconds=30)
"""So much later a running import is looked at again; the task gives its worker back meanwhile."""


@dataclass(frozen=True)
class EmmaChannel:
    """E-mail that a bank's EMMA account sends."""

    name: str = ChannelName.EMMA.value
    barred_by: frozenset[Reason] = EVERY_REASON
    processes: int = 1

    def limits(self, institute: Institute) -> RateLimits | None:  # noqa: ARG002 - see Channel
        """None: how fast mails go out is EMMA's matter."""
        return None

    def recipient_key(self, institute: str, person_number: str, address: str) -> str:  # noqa: ARG002 - see Channel
        """A hash of the address, as for e-mail: two people who share one get one mail."""
        return address_hmac(institute, address)

    def prepare(self, plan: SendPlan) -> PreparedEmma:
        """Nothing is compiled: the medium lies in EMMA."""
        return PreparedEmma(plan)


EMMA = EmmaChannel()


@dataclass(frozen=True)
class PreparedEmma:
    """A delivery that goes out by EMMA."""

    plan: SendPlan
    has_control_copy: bool = False

    def send(self, dispatcher: Dispatcher) -> None:
        """Check the list and the mailing, fix who is to be brought in, start the import, or look how far it is.

        Nobody is put into a file before EMMA's list and mailing are as they have to be.
        """
        engine, plan, result = dispatcher.engine, self.plan, dispatcher.result
        if not count_due(engine, dispatcher.due) and not self._unfinished(engine):
            return
        with open_client(plan.institute.blz) as client:
            with engine.connect() as connection:
                own_list = order_list(connection, plan)
            number = find_or_make_list(client, own_list)
            check_email(client, plan, number, own_list.name)
            decision = prepare_file(engine, plan, dispatcher.channel, EMMA_ROWS, dispatcher.due)
            result.prepared += decision.prepared
            result.withheld += decision.withheld
            dispatcher.show(result)
            for file in self._unfinished(engine):
                if carry_on(engine, client, plan, number, file).state is ImportState.RUNNING:
                    result.try_again_at(clock.now() + NEXT_LOOK)
                    result.why_later = "EMMA is still bringing people into its list"

    def _unfinished(self, engine: sa.Engine) -> list[int]:
        with engine.connect() as connection:
            return unfinished_imports(connection, self.plan.delivery)

    def send_control_copy(self, result: ControlCopyResult) -> None:
        """There is none: EMMA's own test mailing shows what goes out."""
