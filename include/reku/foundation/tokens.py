"""Link tokens: signed, opaque, by id only (docs/domain.md, "Unsubscribing with one click").

A token says what it is for and which message (and link) is meant, nothing else. The salt separates the purposes, so
that a click token never unsubscribes anybody. Tokens carry no time: an unsubscribe link works for ever. Old keys stay
in `REKU_TOKEN_KEYS` and keep old links alive.
"""

from __future__ import annotations

import hashlib
import hmac
from binascii import b2a_base64
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from itsdangerous import Signer

from reku.foundation.errors import SetupError
from reku.foundation.settings import settings

if TYPE_CHECKING:
    from hashlib import _Hash

_SHA1_BLOCK = 64
_LONGEST = 200
_LARGEST_ID, _LARGEST_LINK = 2**63 - 1, 2**31 - 1
_URL_SAFE, _PADDING = bytes.maketrans(b"+/", b"-_"), b"=\n"


class Purpose(StrEnum):
    """What a link does; also the salt of its signature."""

    OPEN = "o"
    CLICK = "c"
    ANONYMOUS = "a"  # a click of somebody who has not consented to tracking
    UNSUBSCRIBE = "u"
    BOUNCE = "b"


_BOUNCE = Purpose.BOUNCE  # before Python 3.12 an enum is slow to find its members


class Target(NamedTuple):
    """What a token means: a message of the ledger and, for clicks, a link's number.

    ANONYMOUS means a delivery instead, and names the medium: a delivery may have several, and no message is known.
    """

    id: int
    link: int = 0
    medium: str = ""


def _keys() -> tuple[str, ...]:
    keys = settings().keys_for_tokens()
    if not keys:
        raise SetupError("REKU_TOKEN_KEYS is not set: no link can be signed. Set at least one long random key.")
    return keys


@cache
def _hashed_keys(purpose: Purpose) -> tuple[tuple[_Hash, _Hash], ...]:
    """Each key's two blocks of HMAC-SHA1, newest first, hashed once (RFC 2104 section 4): a mail takes half a dozen
    tokens, and the tracker reads thousands in a second.
    """
    keys = (Signer(key, salt=f"reku.{purpose}").derive_key().ljust(_SHA1_BLOCK, b"\0") for key in reversed(_keys()))
    return tuple((_padded(key, 0x36), _padded(key, 0x5C)) for key in keys)


def _padded(key: bytes, pad: int) -> _Hash:
    return hashlib.sha1(bytes(byte ^ pad for byte in key))  # noqa: S324 - as an HMAC


def _signature(hashed_key: tuple[_Hash, _Hash], purpose: Purpose, text: str) -> str:
    """In hex for BOUNCE: a return path comes back in whatever case a bouncing server likes."""
    inner, outer = hashed_key[0].copy(), hashed_key[1].copy()
    inner.update(text.encode())
    outer.update(inner.digest())
    if purpose is _BOUNCE:
        return outer.hexdigest()
    return b2a_base64(outer.digest()).translate(_URL_SAFE, _PADDING).decode()


def make(purpose: Purpose, target: Target) -> str:
    """A token for a URL (letters, digits, `-`, `_`, `.`) or, for BOUNCE, a return path (case does not matter).

    It is what itsdangerous' Signer would make. Raises SetupError if no key is set.
    """
    number, link, medium = target
    text = f"{number:x}-{link:x}" if link else f"{number:x}"
    if medium:
        text = f"{number:x}-{link:x}-{medium}"
    return f"{text}.{_signature(_hashed_keys(purpose)[0], purpose, text)}"


def read(purpose: Purpose, token: str) -> Target | None:
    """What a token means, or None if it is cut, forged, of another purpose or of a foreign key."""
    keys = _hashed_keys(purpose)
    if len(token) > _LONGEST or not token.isascii():
        return None
    text, _, given = (token.lower() if purpose is _BOUNCE else token).rpartition(".")
    if not any(hmac.compare_digest(given, _signature(key, purpose, text)) for key in keys):
        return None
    try:
        number, link, medium = (*text.split("-"), "", "")[:3]
        target = Target(int(number, 16), int(link, 16) if link else 0, medium)
    except ValueError:
        return None
    return target if target.id <= _LARGEST_ID and target.link <= _LARGEST_LINK else None
