"""What dispatch asks of a channel: a way to reach people, such as e-mail.

Dispatch knows no channel by name. A channel says what it needs of a recipient and what bars it, checks a campaign's
media, and then sends: message by message off `Dispatcher.open_queue`, or in one batch that it claims and numbers in a
transaction of its own with `claim` and `ledger`. What became of each message is told to the ledger either way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from reku.catalogue.institute import Institute, RateLimits
from reku.contact.reasons import Reason
from reku.foundation.errors import StageError

if TYPE_CHECKING:
    from reku.dispatch.claim import Claimed
    from reku.dispatch.dispatcher import Dispatcher
    from reku.dispatch.plan import SendPlan


class Channel(Protocol):
    """A way to reach people. `name`: as it stands in the ledger."""

    @property
    def name(self) -> str: ...

    @property
    def barred_by(self) -> frozenset[Reason]:
        """The reasons that speak against this channel; others do not keep a message from going out on it."""

    @property
    def processes(self) -> int:
        """How many processes may send a large delivery at once."""

    def limits(self, institute: Institute) -> RateLimits | None:
        """How fast the bank's messages may go out; None: nobody minds, and no recipient's domain ever rests."""

    def recipient_key(self, institute: str, person_number: str, address: str) -> str:
        """By what the ledger knows a recipient: nobody gets two messages on one channel under the same key.

        A keyed hash of 64 hex digits, different for each bank. Raises ValueError for an address that is none.
        """

    def prepare(self, plan: SendPlan) -> PreparedChannel:
        """Check and compile the media of the plan's campaign. Raises ConfigError with file and line."""


class PreparedChannel(Protocol):
    """A channel with everything ready to send one delivery."""

    def send(self, dispatcher: Dispatcher) -> None:
        """Send what is due of the delivery, and record what became of each message.

        Returns when nothing more can be had at this moment; a channel that is to be asked again, such as one that waits
        for another system, says when by `result.try_again_at`. Raises PassingError or StageError with everything not
        sent still open.
        """

    @property
    def has_control_copy(self) -> bool:
        """Whether somebody of the bank is to see a copy before anybody else gets a message."""

    def send_control_copy(self, result: ControlCopyResult) -> None:
        """Send that copy, filled for an invented person, and tell what became of it, also if it raises."""


@runtime_checkable
class FillsEach(Protocol):
    """A prepared channel that makes each message by itself, so that it can be tried out without sending it."""

    def fill(self, message: Claimed) -> Content:
        """The message of one person. Raises MessageFault."""


@dataclass
class ControlCopyResult:
    """What became of control copies: how many were taken, and how others were answered (no text of the server)."""

    taken: int = 0
    refusals: list[str] = field(default_factory=list)


class Content(Protocol):
    """What a channel has made of a message.

    `message_id`: under which it is known outside, kept for a further try; `medium`: key of the medium it was made with.
    """

    @property
    def message_id(self) -> str: ...

    @property
    def medium(self) -> str: ...


class MessageFault(StageError):
    """A person's data cannot become a message. `unreachable`: because no message can get to such an address."""

    def __init__(self, text: str, *, unreachable: bool) -> None:
        super().__init__(text)
        self.unreachable = unreachable
