"""Wrapping data keys anew after the vault key was changed, piece by piece: it may be killed, and repeated."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from reku.foundation.errors import SetupError
from reku.store.audit import put_on_record
from reku.store.tables import data_keys
from reku.vault.wrapping import VaultKeys, vault_keys

AT_ONCE = 200
"""Data keys of one transaction."""

_LIVE = data_keys.c.wrapped.is_not(None)


@dataclass(frozen=True)
class RotationResult:
    """What was wrapped anew with the vault key `newest`.

    `unopened`: fingerprints of vault keys that are missing → how many data keys need them. `spare`: fingerprints of
    older vault keys that nothing needs any more.
    """

    newest: str
    rewrapped: int
    unopened: dict[str, int]
    spare: tuple[str, ...]


def rotate(engine: sa.Engine, *, actor: str) -> RotationResult:
    """Wrap every data key with the newest vault key that another one wraps. Raises SetupError if there is none.

    Data keys that no vault key opens stay as they are.
    """
    keys = vault_keys()
    rewrapped, reached = 0, 0
    while True:
        with engine.begin() as connection:
            last, done = _rewrap_some(connection, keys, reached)
        if last is None:
            break
        rewrapped, reached = rewrapped + done, last
    with engine.begin() as connection:
        used: dict[str, int] = {
            row.wrapped_by: row.number
            for row in connection.execute(
                sa.select(data_keys.c.wrapped_by, sa.func.count().label("number"))
                .where(_LIVE)
                .group_by(data_keys.c.wrapped_by)
            )
        }
        unopened = {name: number for name, number in used.items() if name != keys.newest}
        note = f"{rewrapped} data keys wrapped anew with vault key {keys.newest}"
        put_on_record(connection, None, actor=actor, action="rotate vault key", subject="data_keys", note=note)
    return RotationResult(
        keys.newest, rewrapped, unopened, tuple(name for name in keys.fingerprints[1:] if name not in used)
    )


def _rewrap_some(connection: sa.Connection, keys: VaultKeys, after: int) -> tuple[int | None, int]:
    """Wrap the next data keys anew. Returns the last one's id, None where there was none, and how many opened."""
    rows = connection.execute(
        sa.select(data_keys)
        .where(_LIVE, data_keys.c.wrapped_by != keys.newest, data_keys.c.id > after)
        .order_by(data_keys.c.id)
        .limit(AT_ONCE)
        .with_for_update(key_share=True)  # an import that seals with one of them need not wait
    ).all()
    done = 0
    for row in rows:
        try:
            data_key = keys.unwrap(row.wrapped, str(row.id), row.wrapped_by)
        except SetupError:
            continue  # counted by the caller as unopened
        connection.execute(
            sa.update(data_keys)
            .where(data_keys.c.id == row.id)
            .values(wrapped=keys.wrap(data_key), wrapped_by=keys.newest)
        )
        done += 1
    return (rows[-1].id if rows else None), done
