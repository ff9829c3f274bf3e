"""Test mails of a medium, to addresses that the bank's file allows and to nobody else (`reku test-send`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from secrets import token_hex

from reku.catalogue.institute import Institute
from reku.channels.email.media.compile import compile_medium
from reku.channels.email.media.placeholders import ADDRESS
from reku.channels.email.media.preview import known_medium
from reku.channels.email.uncounted import send_uncounted, uncounted_mail
from reku.dispatch.channel import ControlCopyResult
from reku.foundation.addresses import normalise
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings

MARK = "[Test] "
"""Stands before the subject of every test mail."""
_ORDER = "TEST"


def send_test_mail(key: str, institute: Institute, person: Mapping[str, str], to: Sequence[str]) -> ControlCopyResult:
    """Send one mail of a medium to each address, filled for an invented person.

    Raises ConfigError for an address that the bank's file does not list under `test_addresses`, nothing is sent then,
    and for an unknown or faulty medium; SessionError and LoginRefused where the relay is the trouble.
    """
    file = settings().config_dir / "institutes" / f"{institute.blz}.yaml"
    allowed = {normalise(address) for address in institute.test_addresses}
    for address in to:
        if _normalised(address) not in allowed:
            raise ConfigError(
                f"{institute.name} allows no test mails to this address. Add it to `test_addresses`, if it is that of "
                "somebody who works on its mails.",
                file=file,
                value=address,
                valid=institute.test_addresses,
            )
    compiled = compile_medium(known_medium(key), institute)
    mails = [
        uncounted_mail(
            compiled,
            {**person, ADDRESS: address},
            f"test-{key.lower()}-{token_hex(4)}",
            order_number=_ORDER,
            mark=MARK,
        )
        for address in to
    ]
    result = ControlCopyResult()
    send_uncounted(mails, result)
    return result


def _normalised(address: str) -> str:
    try:
        return normalise(address)
    except ValueError:
        return ""
