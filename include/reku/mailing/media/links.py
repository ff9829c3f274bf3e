"""The links of one mail: signed, opaque, and without tracking consent none that tells who clicked (domain.md 7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from reku.settings import settings
from reku.tokens import Purpose, Target, make

# Before Python 3.12 an enum is slow to find its members.
_BOUNCE, _CLICK, _OPEN, _UNSUBSCRIBE = Purpose.BOUNCE, Purpose.CLICK, Purpose.OPEN, Purpose.UNSUBSCRIBE


class Links(NamedTuple):
    """What is different in the links of each mail.

    `reference`: token of the message, for Message-ID and return path. `open_pixel_url`: None without tracking consent.
    `click_url(link number, target)`: what stands in the mail for a link; without consent the target itself.
    """

    reference: str
    unsubscribe_url: str
    open_pixel_url: str | None
    click_url: Callable[[int, str], str]


def links_for(message_id: int, *, tracking: bool) -> Links:
    """The links of the message with this id in the ledger. Raises SetupError if no token key is set."""
    base = settings().tracker_url.rstrip("/")
    message = Target(message_id)

    def click_url(number: int, target: str) -> str:
        return f"{base}/c/{make(_CLICK, Target(message_id, number))}" if tracking else target

    return Links(
        reference=make(_BOUNCE, message),
        unsubscribe_url=f"{base}/u/{make(_UNSUBSCRIBE, message)}",
        open_pixel_url=f"{base}/o/{make(_OPEN, message)}.gif" if tracking else None,
        click_url=click_url,
    )
