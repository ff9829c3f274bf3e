"""Clear person numbers, sealed: the only place where a pseudonym can be turned back. Contract numbers never are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.store.bulk import copy_rows
from reku.store.kinds import SealedKind
from reku.store.tables import person_numbers
from reku.vault.day_keys import seal_of_day, seals


def keep(connection: sa.Connection, institute: str, numbers: Mapping[str, str], day: date) -> None:
    """Keep the clear numbers (by pseudonym) of people who are new. Raises SetupError if they cannot be sealed."""
    if not numbers:
        return
    seal = seal_of_day(connection, institute, SealedKind.NUMBER, day)
    rows = (
        (institute, pseudonym, seal.id, seal.seal(pseudonym, number.encode())) for pseudonym, number in numbers.items()
    )
    copy_rows(connection, person_numbers, ("institute", "person_number", "data_key_id", "sealed"), rows)


def clear_numbers(connection: sa.Connection, institute: str, pseudonyms: Iterable[str]) -> dict[str, str]:
    """The clear numbers by pseudonym, for a file that is being written for the bank.

    Raises StageError naming how many are not kept (any more), SetupError if they cannot be opened.
    """
    wanted = set(pseudonyms)
    rows = connection.execute(
        sa.select(person_numbers).where(
            person_numbers.c.institute == institute, person_numbers.c.person_number.in_(wanted)
        )
    ).all()
    if missing := len(wanted) - len(rows):
        raise StageError(f"The clear numbers of {missing} people of institute {institute} are not kept any more.")
    by_id = seals(connection, {row.data_key_id for row in rows})
    return {row.person_number: by_id[row.data_key_id].open(row.person_number, row.sealed).decode() for row in rows}
