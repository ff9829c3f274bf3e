"""Which bank has an EMMA account, and with which log-in; from the settings, never shown."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from reku.channels.emma.client import EmmaClient, Login
from reku.foundation.errors import SetupError
from reku.foundation.settings import settings

PAUSE: Callable[[float], None] = time.sleep
"""How pauses between two tries are spent."""


def accounts() -> dict[str, Login]:
    """The log-ins of the banks, by BLZ. Raises SetupError for an entry of another shape, without naming its values."""
    written = settings().emma_accounts.get_secret_value()
    if not written:
        return {}
    try:
        return msgspec.json.decode(written.encode(), type=dict[str, Login])
    except (msgspec.DecodeError, UnicodeError):
        raise SetupError(
            'REKU_EMMA_ACCOUNTS is no JSON of the shape {"99990001": {"username": "…", "password": "…"}}: each bank by '
            "its BLZ, with both texts. Correct it where your secrets are kept."
        ) from None


def open_client(institute: str) -> EmmaClient:
    """A client of a bank's account. Raises SetupError for a bank that has none."""
    return EmmaClient(institute, settings().emma_url, login_of(institute), sleep=PAUSE)


def login_of(institute: str) -> Login:
    """The log-in of a bank's account. Raises SetupError for a bank that has none."""
    own, known = settings(), accounts()
    if not own.emma_url:
        raise SetupError(
            "REKU_EMMA_URL is not set, so no bank can send through EMMA. Set it to the web service's address."
        )
    if institute not in known:
        raise SetupError(
            f"REKU_EMMA_ACCOUNTS has no entry for institute {institute}. Add its user and password, or take `emma` out "
            "of its campaigns."
        )
    return known[institute]
