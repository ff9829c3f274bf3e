"""Link tokens: signed, opaque, by id only (docs/domain.md, "Unsubscribing with one click").

A token says what it is for and which message (and link) is meant, nothing else. The salt separates the purposes, so
that a click token never unsubscribes anybody. Ids are shuffled by the key, so that two tokens do not tell how many
mails lie between them. Tokens carry no time: an unsubscribe link works for ever. An old key in `REKU_TOKEN_KEYS` keeps
old unsubscribe links alive and is good for nothing else, since it may be an old one because it was stolen.
"""

from __future__ import annotations

import hashlib
import hmac
from binascii import b2a_base64
from enum import StrEnum
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from itsdangerous import Signer

from reku.foundation.errors import SetupError
from reku.foundation.settings import TokenKey, settings

if TYPE_CHECKING:
    from hashlib import _Hash

_SHA1_BLOCK = 64
_LONGEST = 200
_LARGEST_ID, _LARGEST_LINK = 2**63 - 1, 2**31 - 1
_SHUFFLED_BITS = 64
_HALF = _SHUFFLED_BITS // 2
_HALF_BYTES = _HALF // 8
_LOW = (1 << _HALF) - 1
_ROUNDS = (b"1", b"2", b"3", b"4")
_URL_SAFE, _PADDING = bytes.maketrans(b"+/", b"-_"), b"=\n"


class Purpose(StrEnum):
    """What a link does; also the salt of its signature."""

    OPEN = "o"
    CLICK = "c"
    ANONYMOUS = "a"  # a click of somebody who has not consented to tracking
    UNSUBSCRIBE = "u"
    BOUNCE = "b"  # a return path, and nothing else: who knows it can report a bounce
    WHOLE_MAIL = "w"  # proves a mail, see `mail_proof`; names its digest instead of a medium
    MESSAGE_ID = "m"  # is seen by everybody whom a mail is passed on to, in answers and logs: good for nothing


# Before Python 3.12 an enum is slow to find its members.
_BOUNCE, _UNSUBSCRIBE = Purpose.BOUNCE, Purpose.UNSUBSCRIBE


class Target(NamedTuple):
    """What a token means: a message of the ledger and, for clicks, a link's number.

    ANONYMOUS means a delivery instead, and names the medium: a delivery may have several, and no message is known.
    """

    id: int
    link: int = 0
    medium: str = ""


class _SigningKey(NamedTuple):
    """A key made ready for one purpose. `below`: the first id that it is not good for, if there is one."""

    blocks: tuple[_Hash, _Hash]
    shuffling: bytes
    below: int | None


def _keys() -> tuple[TokenKey, ...]:
    keys = settings().keys_for_tokens()
    if not keys:
        raise SetupError("REKU_TOKEN_KEYS is not set: no link can be signed. Set at least one long random key.")
    return keys


@cache
def _hashed_keys(purpose: Purpose) -> tuple[_SigningKey, ...]:
    """The keys that are good for this purpose, newest first, each with its two blocks of HMAC-SHA1, hashed once
    (RFC 2104 section 4): a mail takes half a dozen tokens, and the tracker reads thousands in a second.
    """
    newest, *old = reversed(_keys())
    return tuple(_made_ready(key, purpose) for key in (newest, *(old if purpose is _UNSUBSCRIBE else ())))


def _made_ready(key: TokenKey, purpose: Purpose) -> _SigningKey:
    derived = Signer(key.text, salt=f"reku.{purpose}").derive_key().ljust(_SHA1_BLOCK, b"\0")
    blocks = (_padded(derived, 0x36), _padded(derived, 0x5C))
    return _SigningKey(blocks, hashlib.blake2b(key.text.encode(), person=b"reku.ids").digest()[:32], key.below)


def _padded(key: bytes, pad: int) -> _Hash:
    return hashlib.sha1(bytes(byte ^ pad for byte in key))  # noqa: S324 - as an HMAC


def _signature(key: _SigningKey, purpose: Purpose, text: str) -> str:
    """In hex for BOUNCE: a return path comes back in whatever case a bouncing server likes."""
    inner, outer = key.blocks[0].copy(), key.blocks[1].copy()
    inner.update(text.encode())
    outer.update(inner.digest())
    if purpose is _BOUNCE:
        return outer.hexdigest()
    return b2a_base64(outer.digest()).translate(_URL_SAFE, _PADDING).decode()


@lru_cache(64)  # the tokens of a mail are made one after the other
def _shuffled(key: bytes, number: int) -> int:
    """A permutation of 64 bits by the key (four Feistel rounds, Luby and Rackoff 1988); what is larger stays."""
    if number >> _SHUFFLED_BITS:
        return number
    left, right = number >> _HALF, number & _LOW
    for name in _ROUNDS:
        left, right = right, left ^ _round(key, name, right)
    return left << _HALF | right


def _sorted_back(key: bytes, number: int) -> int:
    if number >> _SHUFFLED_BITS:
        return number
    left, right = number >> _HALF, number & _LOW
    for name in reversed(_ROUNDS):
        left, right = right ^ _round(key, name, left), left
    return left << _HALF | right


def _round(key: bytes, name: bytes, half: int) -> int:
    data = name + half.to_bytes(_HALF_BYTES, "big")
    return int.from_bytes(hashlib.blake2s(data, digest_size=_HALF_BYTES, key=key).digest(), "big")


def make(purpose: Purpose, target: Target) -> str:
    """A token for a URL (letters, digits, `-`, `_`, `.`) or, for BOUNCE, a return path (case does not matter).

    It is what itsdangerous' Signer would make of the shuffled id. Raises SetupError if no key is set.
    """
    number, link, medium = target
    key = _hashed_keys(purpose)[0]
    text = f"{_shuffled(key.shuffling, number):x}"
    if link or medium:
        text += f"-{link:x}-{medium}" if medium else f"-{link:x}"
    return f"{text}.{_signature(key, purpose, text)}"


def beginning(number: int) -> str:
    """How all tokens of a message begin that the newest key has signed: to look for in a log, and to prove nothing."""
    return f"{_shuffled(_hashed_keys(_BOUNCE)[0].shuffling, number):x}."


def read(purpose: Purpose, token: str) -> Target | None:
    """What a token means, or None if it is cut, forged, of another purpose or of a key that is not good for it."""
    keys = _hashed_keys(purpose)
    if len(token) > _LONGEST or not token.isascii():
        return None
    text, _, given = (token.lower() if purpose is _BOUNCE else token).rpartition(".")
    for key in keys:
        if hmac.compare_digest(given, _signature(key, purpose, text)):
            target = _target(key, text)
            return target if target and (key.below is None or target.id < key.below) else None
    return None


def _target(key: _SigningKey, text: str) -> Target | None:
    try:
        number, link, medium = (*text.split("-"), "", "")[:3]
        target = Target(_sorted_back(key.shuffling, int(number, 16)), int(link, 16) if link else 0, medium)
    except ValueError:
        return None
    return target if target.id <= _LARGEST_ID and target.link <= _LARGEST_LINK else None
