"""What is sealed, opened for a test that looks whether the right numbers were kept."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.store.tables import person_numbers
from reku.vault.day_keys import seals


def clear_numbers(connection: sa.Connection, institute: str, pseudonyms: Iterable[str]) -> dict[str, str]:
    """The clear numbers by pseudonym, all at once; the product opens one by one (`NumberOpener`).

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
