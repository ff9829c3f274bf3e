"""Files that tell the whole state, or all changes: a newer one takes the place of those that nobody has fetched."""

from __future__ import annotations

import sqlalchemy as sa

from reku.foundation import clock
from reku.privacy.prepared_files import erase_file
from reku.store.kinds import PreparedKind
from reku.store.tables import prepared_files


def supersede_older(connection: sa.Connection, institute: str, kind: PreparedKind) -> int:
    """End the bank's files of a kind that nobody has taken; their messages stay prepared. Returns how many.

    In the caller's transaction, which writes down the newer one: until it ends nobody can take one of them.
    """
    of, moment = prepared_files.c, clock.now()
    untaken = (of.fetched_at, of.pushed_at, of.acknowledged_at, of.expired_at)
    older = connection.scalars(
        sa.select(of.id)
        .where(of.institute == institute, of.kind == kind, *(column.is_(None) for column in untaken))
        .order_by(of.id)
        .with_for_update()
    ).all()
    for file in older:
        connection.execute(sa.update(prepared_files).where(of.id == file).values(expired_at=moment))
        erase_file(connection, file, moment)
    return len(older)
