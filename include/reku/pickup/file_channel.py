"""A channel that reaches people by prepared files: one for each delivery, fixed in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from reku.catalogue.channel_name import ChannelName
from reku.catalogue.institute import Institute, RateLimits
from reku.contact.reasons import Reason
from reku.dispatch.channel import ControlCopyResult
from reku.dispatch.dispatcher import Dispatcher
from reku.dispatch.plan import SendPlan
from reku.foundation.addresses import address_hmac, key_of_person
from reku.foundation.errors import StageError
from reku.pickup.file_format import FileFormat
from reku.pickup.prepare import prepare_file
from reku.pickup.push import push_files


@dataclass(frozen=True)
class FileChannel:
    """Prepares a file in `format` of all that is due of a delivery. `is_pushed`: it is put into the outbox at once."""

    name: str
    format: FileFormat
    barred_by: frozenset[Reason]
    is_pushed: bool = False
    processes: int = 1

    def limits(self, institute: Institute) -> RateLimits | None:  # noqa: ARG002 - see Channel
        """None: a file has no rate."""
        return None

    def recipient_key(self, institute: str, person_number: str, address: str) -> str:
        """Of the person, unless it goes to a mail address: the bank knows people by their numbers."""
        if self.name in list(ChannelName) and ChannelName(self.name).goes_to_an_address:
            return address_hmac(institute, address)
        return key_of_person(institute, person_number)

    def prepare(self, plan: SendPlan) -> PreparedFileChannel:
        """Check the campaign's media. Raises ConfigError with file and line."""
        self.format.check_media(plan)
        return PreparedFileChannel(self)


@dataclass(frozen=True)
class PreparedFileChannel:
    """A file channel whose media are whole."""

    channel: FileChannel
    has_control_copy: bool = False

    def send(self, dispatcher: Dispatcher) -> None:
        """Put all that is due into a new file; nothing is written before somebody takes it, or it is pushed."""
        decision = prepare_file(
            dispatcher.engine, dispatcher.plan, dispatcher.channel, self.channel.format, dispatcher.due
        )
        dispatcher.result.prepared += decision.prepared
        dispatcher.result.withheld += decision.withheld
        if self.channel.is_pushed or dispatcher.plan.institute.outbox_url:
            formats = {self.channel.format.kind: self.channel.format}
            _, problems = push_files(dispatcher.engine, dispatcher.plan.institute, formats)
            if problems:
                raise StageError("\n".join(problems))
        dispatcher.show(dispatcher.result)

    def send_control_copy(self, result: ControlCopyResult) -> None:
        """There is none: the bank sees the file before anybody gets what is in it."""
