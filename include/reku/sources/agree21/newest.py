"""The newest snapshots, and how long the addresses of the newest customers are kept."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.sources.agree21.customer_rows import forget_addresses
from reku.sources.agree21.kinds import Kind
from reku.store.tables import imports, person_addresses


def newest_snapshot(connection: sa.Connection, institute: str, kind: Kind) -> sa.Row[Any] | None:
    """The newest import of a kind that was the whole state, or None."""
    newest = _newest(institute, kind, ~imports.c.delta)
    return connection.execute(sa.select(imports).where(imports.c.id == newest)).one_or_none()


def have_addresses(connection: sa.Connection, bank: Institute) -> bool:
    """Whether the addresses of the bank's newest customers are still kept; False if there are no customers."""
    there = sa.select(_newest(bank.blz, Kind.CUSTOMERS).is_not(None) & ~_time_is_over(bank))
    return bool(connection.scalar(there))


def are_addresses_left(bank: Institute) -> sa.ColumnElement[bool]:
    """Whether there are addresses whose time is over, in SQL."""
    return sa.exists().where(person_addresses.c.institute == bank.blz) & _time_is_over(bank)


def forget_old_addresses(connection: sa.Connection, bank: Institute) -> int:
    """Forget the bank's addresses if their time is over. Returns how many rows left."""
    if not connection.scalar(sa.select(are_addresses_left(bank))):
        return 0
    return forget_addresses(connection, bank.blz)


def _time_is_over(bank: Institute) -> sa.ColumnElement[bool]:
    """Whether the newest customers came before the last `addresses_until`, and no delta can build on them any more."""
    newest = sa.select(imports.c.taken_at).where(imports.c.id == _newest(bank.blz, Kind.CUSTOMERS)).scalar_subquery()
    over = newest < _last_noon(bank)
    days = bank.imports.delta_days
    if not days:
        return over
    snapshot = _newest(bank.blz, Kind.CUSTOMERS, ~imports.c.delta)
    drawn = sa.select(imports.c.data_at).where(imports.c.id == snapshot).scalar_subquery()
    return over & (drawn < clock.now() - timedelta(days=days))


def _newest(institute: str, kind: Kind, *which: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    return (
        sa.select(imports.c.id)
        .where(imports.c.institute == institute, imports.c.kind == kind, *which)
        .order_by(imports.c.data_at.desc(), imports.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )


def _last_noon(bank: Institute) -> datetime:
    """The last `addresses_until` that is past."""
    until: time = bank.imports.addresses_until
    today = clock.at(clock.today(), until.hour, until.minute)
    if today <= clock.now():
        return today
    return clock.at(clock.today() - timedelta(days=1), until.hour, until.minute)
