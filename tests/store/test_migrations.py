"""The migrated database is what reku.store.tables says, predicates of indexes included, which Alembic leaves out."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from reku.runtime.postgres import Postgres
from reku.store.kinds import DeliverySource
from reku.store.migrate import drift
from reku.store.tables import SCHEMA, metadata
from reku_testing import world

_CATALOGUE = sa.text("""
    SELECT c.relname || '.' || a.attname AS thing, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attnotnull THEN 'NOT NULL' END, a.attidentity, pg_get_expr(d.adbin, d.adrelid),
        col_description(c.oid, a.attnum)) AS definition
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = to_regnamespace(:schema) AND c.relkind = 'r'
    UNION ALL SELECT c.relname, obj_description(c.oid) FROM pg_class c
    WHERE c.relnamespace = to_regnamespace(:schema) AND c.relkind IN ('r', 'S')
    UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = CAST(:schema AS name)
    UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = to_regnamespace(:schema) AND contype <> 'n'
""")


def _catalogue(engine: sa.Engine) -> dict[str, str]:
    """Every column, table, sequence, index and constraint of our schema, with its definition."""
    with engine.connect() as connection:
        found = connection.execute(_CATALOGUE, {"schema": SCHEMA})
        return {row.thing: row.definition for row in found if not row.thing.startswith("alembic_version")}


def test_the_migrations_make_the_tables(database: sa.Engine) -> None:
    assert drift(database) == []


def test_the_migrations_make_exactly_the_tables(database: sa.Engine, postgres: Postgres) -> None:
    name = f"{database.url.database}_made"
    postgres.create_database(name)
    made = sa.create_engine(postgres.url(name))
    with made.begin() as connection:
        connection.execute(sa.schema.CreateSchema(SCHEMA))
        metadata.create_all(connection)
    wanted = _catalogue(made)
    made.dispose()
    assert len(wanted) > 300
    assert _catalogue(database) == wanted


def test_only_what_comes_from_no_file_has_none(database: sa.Engine) -> None:
    order = world.order(database)
    world.delivery(database, order, source=DeliverySource.SELECTION, file_id=None)
    with pytest.raises(sa.exc.IntegrityError, match="file_of_a_file"):
        world.delivery(database, order, 18, file_id=None)
