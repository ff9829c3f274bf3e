"""Clear person numbers, sealed: the only place where a pseudonym can be turned back. Contract numbers never are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa

from reku.catalogue.import_rules import Pseudonyms
from reku.catalogue.institute import Institute
from reku.store.bulk import copy_rows
from reku.store.kinds import SealedKind
from reku.store.tables import data_keys, person_numbers
from reku.vault.day_keys import seal_of_day, unwrapped
from reku.vault.pseudonyms import NumberKind, is_pseudonym
from reku.vault.sealing import Seal


def keep(connection: sa.Connection, institute: str, numbers: Mapping[str, str], day: date) -> None:
    """Keep the clear numbers (by pseudonym) of people who are new. Raises SetupError if they cannot be sealed."""
    if not numbers:
        return
    seal = seal_of_day(connection, institute, SealedKind.NUMBER, day)
    rows = (
        (institute, pseudonym, seal.id, seal.seal(pseudonym, number.encode())) for pseudonym, number in numbers.items()
    )
    copy_rows(connection, person_numbers, ("institute", "person_number", "data_key_id", "sealed"), rows)


def sealed_number(institute: sa.ColumnElement[Any], person_number: sa.ColumnElement[Any]) -> sa.ScalarSelect[str]:
    """A person's sealed clear number with the key that opens it, for `NumberOpener`; null if it is not kept (any more).

    One column of a select, so that number and key are of one moment, whatever is imported or renewed meanwhile.
    """
    key, row = data_keys.c, person_numbers.c
    parts = (key.id, key.wrapped_by, sa.func.convert_from(key.wrapped, "UTF8"), sa.func.encode(row.sealed, "hex"))
    return (
        sa.select(sa.func.concat_ws("|", *parts))
        .where(row.institute == institute, row.person_number == person_number)
        .where(key.id == row.data_key_id, key.wrapped.is_not(None))
        .scalar_subquery()
    )


def number_as_delivered(bank: Institute, person: str) -> str | None:
    """The number of a person of whom nothing is sealed, if it is one of the bank's own: clear, or its own pseudonym."""
    own_pseudonyms = bank.imports.pseudonyms is Pseudonyms.BANK
    is_own = person.isdecimal() or (own_pseudonyms and is_pseudonym(NumberKind.PERSON, person))
    return person if is_own else None


class NumberOpener:
    """Opens the numbers of a bank's people one by one, while a file for the bank is being written."""

    def __init__(self, institute: str) -> None:
        self._institute = institute
        self._seals: dict[str, Seal] = {}

    def open(self, person_number: str, sealed: str) -> str:
        """The clear number. `sealed` is what `sealed_number` has found for this person.

        Raises SetupError if a key is missing or another one, StageError if what is sealed was changed.
        """
        key_id, wrapped_by, wrapped, number = sealed.split("|")
        if key_id not in self._seals:
            self._seals[key_id] = unwrapped(int(key_id), self._institute, wrapped.encode(), wrapped_by)
        return self._seals[key_id].open(person_number, bytes.fromhex(number)).decode()
