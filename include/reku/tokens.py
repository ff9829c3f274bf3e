"""Link tokens: signed, opaque, by id only (DESIGN section 5).

A token says what it is for and which message (and link) is meant, nothing else. The salt separates the purposes, so
that a click token never unsubscribes anybody. Tokens carry no time: an unsubscribe link works for ever. Old keys stay
in `REKU_TOKEN_KEYS` and keep old links alive.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from itsdangerous import BadSignature, Signer

from reku.errors import SetupError
from reku.settings import settings


class Purpose(StrEnum):
    """What a link does; also the salt of its signature."""

    OPEN = "o"
    CLICK = "c"
    UNSUBSCRIBE = "u"
    BOUNCE = "b"


@dataclass(frozen=True)
class Target:
    """What a token means: a message of the ledger, or (anonymous) a delivery, and a link's number for clicks."""

    id: int
    link: int = 0


def _caseless(token: bytes) -> str:
    """Base32 without padding: a return path comes back in whatever case a bouncing server likes."""
    return base64.b32encode(token).decode().rstrip("=").lower()


def _from_caseless(token: str) -> bytes:
    return base64.b32decode(token.upper() + "=" * (-len(token) % 8))


@cache
def _signer(purpose: Purpose) -> Signer:
    keys = settings().keys_for_tokens()
    if not keys:
        raise SetupError("REKU_TOKEN_KEYS is not set: no link can be signed. Set at least one long random key.")
    return Signer(list(keys), salt=f"reku.{purpose}", sep=".")


def make(purpose: Purpose, target: Target) -> str:
    """A token for a URL (letters, digits, `-`, `_`, `.`) or, for BOUNCE, a return path (case does not matter)."""
    text = f"{target.id:x}" if not target.link else f"{target.id:x}-{target.link:x}"
    token = _signer(purpose).sign(text)
    return _caseless(token) if purpose is Purpose.BOUNCE else token.decode()


def read(purpose: Purpose, token: str) -> Target | None:
    """What a token means, or None if it is cut, forged, of another purpose or of a foreign key."""
    try:
        signed = _from_caseless(token) if purpose is Purpose.BOUNCE else token.encode()
        text = _signer(purpose).unsign(signed).decode()
        number, _, link = text.partition("-")
        return Target(int(number, 16), int(link, 16) if link else 0)
    except (BadSignature, ValueError):
        return None
