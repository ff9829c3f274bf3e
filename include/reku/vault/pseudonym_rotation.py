"""All pseudonyms of a bank made anew with the newest key, in one transaction: after a key has leaked.

Each new pseudonym is made of the old one. So nobody's clear number is needed, and whoever has left the vault keeps
objections and blocking periods, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.store.audit import put_on_record
from reku.store.locks import Lock, held
from reku.store.tables import deliveries, orders, pseudonym_keys
from reku.vault.pseudonyms import keys_in_use, newest_key
from reku.vault.renewal import Renewal, pseudonym_tables, rewrite

_WAIT = "10s"


@dataclass(frozen=True)
class PseudonymRotationResult:
    """The version of the key that all pseudonyms are made with now, and how many rows were rewritten, by table."""

    institute: str
    version: int
    rewritten: dict[str, int]


def rotate_pseudonyms(engine: sa.Engine, institute: str, *, actor: str) -> PseudonymRotationResult:
    """Rewrite all that holds a pseudonym of the bank, and note the key; while it runs the tables wait.

    Raises StageError, with nothing written, if somebody is at work for the bank, or if there is nothing to rotate;
    SetupError if a key is missing or another one.
    """
    with engine.begin() as connection:
        _close_tables(connection, institute)
        in_use, newest = keys_in_use(connection, institute), newest_key(institute)
        if not in_use:
            raise StageError(f"Institute {institute} has no pseudonyms that were made here: there is nothing to do.")
        if newest.version == in_use[-1].version:
            raise StageError(
                f"The pseudonyms of institute {institute} are made with the newest of REKU_PSEUDONYM_KEYS (place "
                f"{newest.version}): append a new key at the end first, everywhere, and let all others stay."
            )
        renew = Renewal(in_use[-1], newest)
        rewritten = {table.name: rewrite(connection, table, institute, renew) for table in pseudonym_tables()}
        connection.execute(
            sa.insert(pseudonym_keys).values(
                institute=institute, version=newest.version, check_value=newest.check_value
            )
        )
        note = f"key {in_use[-1].version} -> {newest.version}, {sum(rewritten.values())} rows"
        put_on_record(
            connection, institute, actor=actor, action="rotate pseudonyms", subject="pseudonym_keys", note=note
        )
    return PseudonymRotationResult(institute, newest.version, rewritten)


def _close_tables(connection: sa.Connection, institute: str) -> None:
    """Have the tables to ourselves until the end, once nobody is at work for the bank. Raises StageError.

    First the tables, then the question: who takes a lock after it waits for the tables, and reads only what is new.
    """
    busy = f"Somebody is at work for institute {institute}; nothing was changed. Repeat this when it is done: "
    names = ", ".join(str(table) for table in [*pseudonym_tables(), pseudonym_keys])
    connection.execute(sa.select(sa.func.set_config("lock_timeout", _WAIT, True)))
    try:
        connection.execute(sa.text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) not in ("55P03", "40P01"):  # lock not available, deadlock
            raise
        raise StageError(f"{busy}the tables are in use.") from None
    own = {
        Lock.FILES: {int(institute)},
        Lock.PEOPLE: {int(institute)},
        Lock.ORDER: _ids(connection, orders, institute),
        Lock.SELECTION: _ids(connection, orders, institute),
        Lock.DELIVERY: _ids(connection, deliveries, institute),
    }
    doing = [lock.name for lock, numbers in own.items() if numbers & held(connection, lock)]
    if doing:
        raise StageError(f"{busy}{', '.join(doing)} is locked (an import, a selection or a dispatch).")


def _ids(connection: sa.Connection, table: sa.Table, institute: str) -> set[int]:
    return set(connection.scalars(sa.select(table.c.id).where(table.c.institute == institute)))
