"""Pseudonyms: HMAC-SHA256 over bank, kind and number, so that nobody who sees our tables knows a clear number.

`p1.9f2c…`: the kind's letter, the version of the key, and 32 hex digits. After a change of the key a pseudonym is made
of the one before, not of the number: so all can be made anew, of people too whose clear numbers nobody has any more.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku.store.tables import pseudonym_keys

_DIGITS = 32
_CHECK_DIGITS = 16


class NumberKind(StrEnum):
    """What a number is of: the letter that its pseudonyms begin with; equal numbers of two kinds have two of them."""

    PERSON = "p"
    CONTRACT = "v"
    HOUSEHOLD = "h"


def is_pseudonym(kind: NumberKind, text: str) -> bool:
    """Whether a text looks like a pseudonym of this kind, ours or one that a bank has made."""
    return re.fullmatch(rf"{kind}[1-9][0-9]{{0,3}}\.[0-9a-f]{{6,60}}", text) is not None


@dataclass(frozen=True)
class KeyInUse:
    """A key that a bank's pseudonyms were made with; `version` is its place in REKU_PSEUDONYM_KEYS, from 1."""

    institute: str
    version: int
    secret: bytes = field(repr=False)

    def pseudonym(self, kind: NumberKind, of: str) -> str:
        """The pseudonym of a number, or of the pseudonym that the key before has made of it."""
        prefix, begun = self._begun[kind]
        digest = begun.copy()
        digest.update(of.encode())
        return prefix + digest.hexdigest()[:_DIGITS]

    @cached_property
    def _begun(self) -> dict[NumberKind, tuple[str, hmac.HMAC]]:
        """How pseudonyms of each kind begin, and their hashes with all that comes before the number."""
        return {
            kind: (f"{kind}{self.version}.", hmac.new(self.secret, f"{self.institute}|{kind}|".encode(), "sha256"))
            for kind in NumberKind
        }

    @property
    def check_value(self) -> str:
        """What tells this key from another one, and nothing else."""
        return hmac.digest(self.secret, f"{self.institute}|check".encode(), "sha256").hex()[:_CHECK_DIGITS]


def pseudonymiser(connection: sa.Connection, institute: str) -> Callable[[NumberKind, str], str]:
    """What turns a bank's numbers into pseudonyms: always the same for the same number, leading zeros included.

    A bank's first use notes the newest of REKU_PSEUDONYM_KEYS for it, in the caller's transaction. It is kept until
    `reku agree21 rotate-pseudonyms`: with another key everybody would be somebody else, and objections and blocking
    periods be forgotten.

    Raises SetupError, with nothing written, if there is no key, or not those that were noted.
    """
    newest = newest_key(institute)
    connection.execute(
        insert(pseudonym_keys)
        .from_select(
            ["institute", "version", "check_value"],
            sa.select(
                sa.literal(institute, sa.CHAR(8)), sa.literal(newest.version), sa.literal(newest.check_value)
            ).where(~sa.exists().where(pseudonym_keys.c.institute == institute)),
        )
        .on_conflict_do_nothing()
    )
    return _with_keys(keys_in_use(connection, institute))


def name_in_tables(connection: sa.Connection, institute: str, number: str) -> str:
    """What stands in the tables for a person's clear number: the pseudonym, if the bank's numbers became pseudonyms.

    Raises SetupError if a key is missing or another one.
    """
    in_use = keys_in_use(connection, institute)
    if not in_use or is_pseudonym(NumberKind.PERSON, number):
        return number
    return _with_keys(in_use)(NumberKind.PERSON, number)


def newest_key(institute: str) -> KeyInUse:
    """The last of REKU_PSEUDONYM_KEYS. Raises SetupError if there is none."""
    known = _keys()
    return KeyInUse(institute, len(known), known[-1].encode())


def keys_in_use(connection: sa.Connection, institute: str) -> Sequence[KeyInUse]:
    """The keys that the bank's pseudonyms were made with, in their order; none if it has no pseudonyms of ours.

    Raises SetupError if one is missing or another one.
    """
    noted = connection.execute(
        sa.select(pseudonym_keys).where(pseudonym_keys.c.institute == institute).order_by(pseudonym_keys.c.version)
    ).all()
    return [_noted_key(institute, row.version, row.check_value) for row in noted]


def _noted_key(institute: str, version: int, check_value: str) -> KeyInUse:
    known = _keys()
    if version <= len(known):
        key = KeyInUse(institute, version, known[version - 1].encode())
        if hmac.compare_digest(key.check_value, check_value):
            return key
    raise SetupError(
        f"REKU_PSEUDONYM_KEYS has at place {version} not the key with which the numbers of institute {institute} "
        "became pseudonyms: put all keys back as they were, oldest first; a new key goes to the end, and "
        f"`reku agree21 rotate-pseudonyms {institute}` changes to it."
    )


def _keys() -> list[str]:
    known = [key.get_secret_value() for key in settings().pseudonym_keys]
    if not known:
        raise SetupError(
            "REKU_PSEUDONYM_KEYS is not set, so numbers cannot become pseudonyms: set at least one key, as "
            "`openssl rand -base64 48` prints it; `reku up` and `make demo` do it by themselves."
        )
    return known


def _with_keys(keys: Sequence[KeyInUse]) -> Callable[[NumberKind, str], str]:
    def pseudonym(kind: NumberKind, number: str) -> str:
        for key in keys:
            number = key.pseudonym(kind, number)
        return number

    return pseudonym
