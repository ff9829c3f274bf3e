"""Link tokens: signed, opaque, by id only (DESIGN section 5).

A token says what it is for and which message (and link) is meant, nothing else; an anonymous one means a delivery and a
link of its medium, the same for everybody who gets that mail. The salt separates the purposes, so
that a click token never unsubscribes anybody. Tokens carry no time: an unsubscribe link works for ever. Old keys stay
in `REKU_TOKEN_KEYS` and keep old links alive.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_encode

from reku.errors import SetupError
from reku.settings import settings

if TYPE_CHECKING:
    from hashlib import _Hash

_SHA1_BLOCK = 64
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
    """What a token means: a message of the ledger, and a link's number for clicks.

    An anonymous one: a delivery, a link's number, and the medium (key) whose link it is.
    """

    id: int
    link: int = 0
    medium: str = ""


@cache
def _signer(purpose: Purpose) -> Signer:
    """Reads tokens; all keys count."""
    return Signer(list(_keys()), salt=f"reku.{purpose}", sep=".")


def _keys() -> tuple[str, ...]:
    keys = settings().keys_for_tokens()
    if not keys:
        raise SetupError("REKU_TOKEN_KEYS is not set: no link can be signed. Set at least one long random key.")
    return keys


@cache
def _hashed_key(purpose: Purpose) -> tuple[_Hash, _Hash]:
    """The newest key's two blocks of HMAC-SHA1, hashed once (RFC 2104 section 4): a mail takes half a dozen tokens."""
    key = Signer(_keys()[-1], salt=f"reku.{purpose}").derive_key().ljust(_SHA1_BLOCK, b"\0")
    inner, outer = (hashlib.sha1(bytes(byte ^ pad for byte in key)) for pad in (0x36, 0x5C))  # noqa: S324 - as an HMAC
    return inner, outer


def _from_caseless(token: str) -> bytes:
    text, _, signature = token.lower().rpartition(".")
    return text.encode() + b"." + base64_encode(bytes.fromhex(signature))


def make(purpose: Purpose, target: Target) -> str:
    """A token for a URL (letters, digits, `-`, `_`, `.`) or, for BOUNCE, a return path (case does not matter).

    It is what itsdangerous' Signer would make. Raises SetupError if no key is set.
    """
    number, link, medium = target
    text = f"{number:x}-{link:x}" if link else f"{number:x}"
    if medium:
        text = f"{text}-{medium}"
    inner_key, outer_key = _hashed_key(purpose)
    inner, outer = inner_key.copy(), outer_key.copy()
    inner.update(text.encode())
    outer.update(inner.digest())
    if purpose is _BOUNCE:  # in hex: a return path comes back in whatever case a bouncing server likes
        return f"{text}.{outer.hexdigest()}"
    return f"{text}.{b2a_base64(outer.digest()).translate(_URL_SAFE, _PADDING).decode()}"


def read(purpose: Purpose, token: str) -> Target | None:
    """What a token means, or None if it is cut, forged, of another purpose or of a foreign key."""
    try:
        signed = _from_caseless(token) if purpose is Purpose.BOUNCE else token.encode()
        text = _signer(purpose).unsign(signed).decode()
        number, _, rest = text.partition("-")
        link, _, medium = rest.partition("-")
        return Target(int(number, 16), int(link, 16) if link else 0, medium)
    except (BadSignature, ValueError):
        return None
