"""Ways to reach people, as campaigns and the ledger name them (docs/agree21.md, "Channels")."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from reku.foundation.errors import suggest


class ChannelName(StrEnum):
    """A way to reach people."""

    EMAIL = "email"
    LETTER = "letter"
    AGREE_MAILING = "agree_mailing"
    ONLINE_BANKING = "online_banking"
    TERMINAL = "terminal"
    ADVISOR = "advisor"
    EMMA = "emma"

    @property
    def goes_to_an_address(self) -> bool:
        """Whether it needs a mail address, so that all that is known of an address, and consent to mails, counts."""
        return self in (ChannelName.EMAIL, ChannelName.AGREE_MAILING, ChannelName.EMMA)

    @property
    def is_shown(self) -> bool:
        """Whether the bank's own place shows it to the person or the advisor, as agree21BAP is told each day."""
        return self in (ChannelName.ONLINE_BANKING, ChannelName.TERMINAL, ChannelName.ADVISOR)

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        if value.lower() in _MAILBOX:
            raise ValueError(
                "the electronic mailbox is no channel: most customers take it for a place where documents are kept, "
                "not for a way to be written to, so it is not served. Name another channel"
            )
        near = suggest(value, list(cls))
        hint = f" Did you mean {near}?" if near else ""
        raise ValueError(f"there is no channel {value!r}.{hint} Those there are: {', '.join(cls)}")


_MAILBOX = frozenset({"postbox", "postfach", "elektronisches_postfach", "mailbox", "electronic_mailbox"})
