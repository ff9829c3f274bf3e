"""The links of one mail: signed, opaque, and without tracking consent none that tells who clicked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from reku.foundation.mail_proof import proof
from reku.foundation.settings import settings
from reku.foundation.tokens import Purpose, Target, make

# Before Python 3.12 an enum is slow to find its members.
_ANONYMOUS, _BOUNCE, _CLICK = Purpose.ANONYMOUS, Purpose.BOUNCE, Purpose.CLICK
_MESSAGE_ID, _OPEN, _UNSUBSCRIBE = Purpose.MESSAGE_ID, Purpose.OPEN, Purpose.UNSUBSCRIBE


class Links(NamedTuple):
    """What is different in the links of each mail.

    `return_path` and `message_id`: what stands before their `@`. They are tokens of different purposes, since everybody
    sees a Message-ID, and who knows the return path can report a bounce. `open_pixel_url`: None without tracking
    consent. `click_url(link number, target)`: what stands in the mail for a link. `proof(body)`: what proves the
    whole mail; None for one that nobody may complain about by.
    """

    return_path: str
    message_id: str
    unsubscribe_url: str
    open_pixel_url: str | None
    click_url: Callable[[int, str], str]
    proof: Callable[[bytes], str] | None = None


class SharedLinks:
    """The links of all mails of one delivery (id) with one medium (key) to people without consent to tracking."""

    def __init__(self, delivery: int, medium: str) -> None:
        self._delivery, self._medium = delivery, medium
        self._urls: dict[int, str] = {}

    def click_url(self, number: int, _target: str) -> str:
        """The URL of a link by its number, the same in every mail."""
        if number not in self._urls:
            token = make(_ANONYMOUS, Target(self._delivery, number, self._medium))
            self._urls[number] = f"{_base()}/a/{token}"
        return self._urls[number]


def links_for(message_id: int, shared_links: SharedLinks, *, tracking: bool) -> Links:
    """The links of the message with this id in the ledger. Raises SetupError if no token key is set.

    Without tracking consent a mail has no pixel, and its links are shared by everybody.
    """
    base = _base()
    message = Target(message_id)

    def click_url(number: int, _target: str) -> str:
        return f"{base}/c/{make(_CLICK, Target(message_id, number))}"

    return Links(
        return_path=f"b+{make(_BOUNCE, message)}",
        message_id=make(_MESSAGE_ID, message),
        unsubscribe_url=f"{base}/u/{make(_UNSUBSCRIBE, message)}",
        open_pixel_url=f"{base}/o/{make(_OPEN, message)}.gif" if tracking else None,
        click_url=click_url if tracking else shared_links.click_url,
        proof=lambda body: proof(message_id, body),
    )


def _base() -> str:
    return settings().tracker_url.rstrip("/")
