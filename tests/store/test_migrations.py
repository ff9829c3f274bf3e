"""The migrated database is what tables.py says."""

from __future__ import annotations

import sqlalchemy as sa

from reku.store.migrate import drift
from reku.store.tables import SCHEMA, metadata


def test_the_migrations_make_the_tables(database: sa.Engine) -> None:
    assert drift(database) == []


def test_the_migrations_make_the_primary_keys(database: sa.Engine) -> None:
    """Alembic does not compare them."""
    keys = sa.inspect(database)
    for table in metadata.tables.values():
        made = keys.get_pk_constraint(table.name, schema=SCHEMA)
        assert made["constrained_columns"] == [column.name for column in table.primary_key.columns], table.name
