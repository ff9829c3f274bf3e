"""A database of tests that refuses every step from one state to another that `reku.store.states` does not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from reku.store.states import AFTER_DELIVERY_STATE, AFTER_FILE_VERDICT, AFTER_MESSAGE_STATE

STEPS: Mapping[tuple[str, str], Mapping[Any, frozenset[Any]]] = {
    ("files", "verdict"): AFTER_FILE_VERDICT,
    ("deliveries", "state"): AFTER_DELIVERY_STATE,
    ("messages", "state"): AFTER_MESSAGE_STATE,
}
"""Table and column → what may follow each of its states."""

_REFUSE = """
    CREATE FUNCTION reku.refuse_step() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '%.%: % does not follow %, says reku.store.states', TG_TABLE_NAME, TG_ARGV[0],
            to_jsonb(NEW) ->> TG_ARGV[0], to_jsonb(OLD) ->> TG_ARGV[0];
    END $$
"""


def refuse_unknown_steps(connection: sa.Connection) -> None:
    """From now on an UPDATE fails that takes a row to a state which may not follow its present one."""
    connection.execute(sa.text(_REFUSE))
    for (table, column), after in STEPS.items():
        known = ", ".join(f"('{state}', '{next_}')" for state, following in after.items() for next_ in following)
        connection.execute(
            sa.text(
                f"CREATE TRIGGER refuse_step BEFORE UPDATE OF {column} ON reku.{table} FOR EACH ROW"
                f" WHEN (OLD.{column} <> NEW.{column} AND (OLD.{column}, NEW.{column}) NOT IN ({known})"
                " AND current_setting('reku.any_step', true) IS DISTINCT FROM 'yes')"
                f" EXECUTE FUNCTION reku.refuse_step('{column}')"
            )
        )


def allow_any_step(connection: sa.Connection) -> None:
    """Let the rest of this transaction put rows into any state: a test that sets its scene."""
    connection.execute(sa.text("SET LOCAL reku.any_step = 'yes'"))
