"""Link tokens: signed, opaque, by id only (DESIGN section 5).

A token says what it is for and which message (and link) is meant, nothing else. The salt separates the purposes, so
that a click token never unsubscribes anybody. Tokens carry no time: an unsubscribe link works for ever. Old keys stay
in `REKU_TOKEN_KEYS` and keep old links alive.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from itsdangerous.signer import SigningAlgorithm

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


class _Hmac(SigningAlgorithm):
    """itsdangerous' own HMAC-SHA1 by the function that makes it in one go: a mail takes half a dozen of them."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return hmac.digest(key, value, "sha1")


@cache
def _signer(purpose: Purpose) -> Signer:
    keys = settings().keys_for_tokens()
    if not keys:
        raise SetupError("REKU_TOKEN_KEYS is not set: no link can be signed. Set at least one long random key.")
    derived = [Signer(key, salt=f"reku.{purpose}").derive_key() for key in keys]  # once, not for every token
    return Signer(derived, sep=".", key_derivation="none", algorithm=_Hmac())


def _caseless(token: bytes) -> str:
    """The signature in hex: a return path comes back in whatever case a bouncing server likes."""
    text, _, signature = token.rpartition(b".")
    return f"{text.decode()}.{base64_decode(signature).hex()}"


def _from_caseless(token: str) -> bytes:
    text, _, signature = token.lower().rpartition(".")
    return text.encode() + b"." + base64_encode(bytes.fromhex(signature))


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
