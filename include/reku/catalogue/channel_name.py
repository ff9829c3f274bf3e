"""Ways to reach people, as campaigns and the ledger name them (docs/agree21.md, "Channels")."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class ChannelName(StrEnum):
    """A way to reach people."""

    EMAIL = "email"
    LETTER = "letter"
    AGREE_MAILING = "agree_mailing"
    ONLINE_BANKING = "online_banking"
    TERMINAL = "terminal"
    ADVISOR = "advisor"

    @property
    def goes_to_an_address(self) -> bool:
        """Whether it needs a mail address, so that all that is known of an address, and consent to mails, counts."""
        return self in (ChannelName.EMAIL, ChannelName.AGREE_MAILING)

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if isinstance(value, str) and value.lower() in _MAILBOX:
            raise ValueError(
                "the electronic mailbox is no channel: most customers take it for a place where documents are kept, "
                "not for a way to be written to, so it is not served. Name another channel"
            )
        return None


_MAILBOX = frozenset({"postbox", "postfach", "elektronisches_postfach", "mailbox", "electronic_mailbox"})
