"""Pseudonyms: HMAC-SHA256 over bank, kind and number, so that nobody who sees our tables knows a clear number.

`p1.9f2c…`: the kind's letter, the version of the key, and 32 hex digits.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from enum import StrEnum

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


def pseudonymiser(connection: sa.Connection, institute: str) -> Callable[[NumberKind, str], str]:
    """What turns a bank's numbers into pseudonyms: always the same for the same number, leading zeros included.

    A bank's first use notes the newest of REKU_PSEUDONYM_KEYS for it, in the caller's transaction. It is kept from then
    on: with another key everybody would be somebody else, and objections and blocking periods be forgotten.

    Raises SetupError, with nothing written, if there is no key, or not the one that was noted.
    """
    known = _keys()
    connection.execute(
        insert(pseudonym_keys)
        .from_select(
            ["institute", "version", "check_value"],
            sa.select(
                sa.literal(institute, sa.CHAR(8)), sa.literal(len(known)), sa.literal(_check(known[-1], institute))
            ).where(~sa.exists().where(pseudonym_keys.c.institute == institute)),
        )
        .on_conflict_do_nothing()
    )
    noted = _noted(connection, institute)
    if noted is None:
        raise AssertionError("a key was noted above")
    return _with_key(institute, *noted)


def name_in_tables(connection: sa.Connection, institute: str, number: str) -> str:
    """What stands in the tables for a person's clear number: the pseudonym, if the bank's numbers became pseudonyms.

    Raises SetupError if the key is missing or another one.
    """
    noted = _noted(connection, institute)
    if noted is None or is_pseudonym(NumberKind.PERSON, number):
        return number
    return _with_key(institute, *noted)(NumberKind.PERSON, number)


def _keys() -> list[str]:
    known = [key.get_secret_value() for key in settings().pseudonym_keys]
    if not known:
        raise SetupError(
            "REKU_PSEUDONYM_KEYS is not set, so numbers cannot become pseudonyms: set at least one key, as "
            "`openssl rand -base64 48` prints it; `reku up` and `make demo` do it by themselves."
        )
    return known


def _noted(connection: sa.Connection, institute: str) -> tuple[int, str] | None:
    """The version that makes the bank's pseudonyms, and its key; None if it has none. Raises SetupError."""
    noted = connection.execute(
        sa.select(pseudonym_keys)
        .where(pseudonym_keys.c.institute == institute)
        .order_by(pseudonym_keys.c.version.desc())
        .limit(1)
    ).one_or_none()
    if noted is None:
        return None
    known, version = _keys(), int(noted.version)
    if version > len(known) or not hmac.compare_digest(_check(known[version - 1], institute), noted.check_value):
        raise SetupError(
            f"REKU_PSEUDONYM_KEYS has at place {version} not the key with which the numbers of institute {institute} "
            "became pseudonyms: put all keys back as they were, oldest first."
        )
    return version, known[version - 1]


def _with_key(institute: str, version: int, key: str) -> Callable[[NumberKind, str], str]:
    secret = key.encode()

    def pseudonym(kind: NumberKind, number: str) -> str:
        digest = hmac.digest(secret, f"{institute}|{kind}|{number}".encode(), "sha256").hex()
        return f"{kind}{version}.{digest[:_DIGITS]}"

    return pseudonym


def _check(key: str, institute: str) -> str:
    return hmac.digest(key.encode(), f"{institute}|check".encode(), "sha256").hex()[:_CHECK_DIGITS]
