"""Bring the schema up to date with Alembic. Safe to run at every start and by several processes at once."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from reku.store.locks import Lock, lock_until_commit
from reku.store.tables import SCHEMA, metadata

MIGRATIONS = Path(__file__).parent / "migrations"


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def migrate(engine: sa.Engine) -> None:
    """Create the schema if need be and run every migration that is missing."""
    with engine.begin() as connection:
        lock_until_commit(connection, Lock.MIGRATION)
        connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
        command.upgrade(_config(connection), "head")


def drift(engine: sa.Engine) -> list[object]:
    """Differences between the migrated database and `reku.store.tables`; empty when all is well."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table_schema": SCHEMA,
                "include_schemas": True,
                "include_name": lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
            },
        )
        return list(compare_metadata(context, metadata))
