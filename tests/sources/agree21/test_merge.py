"""A file is merged into a table that seems empty, in time that grows with its rows, not with their square."""

from __future__ import annotations

import sqlalchemy as sa

from reku.sources.agree21.merge import add_new, stage
from reku.store.tables import holdings

BLZ = "99950001"
COLUMNS = ("institute", "contract_number", "person_number", "product")


def _plan(connection: sa.Connection) -> str:
    """How the server would add rows that the table lacks."""
    return "\n".join(
        connection.scalars(
            sa.text(
                "EXPLAIN INSERT INTO reku.holdings (institute, contract_number, person_number, product) "
                "SELECT institute, contract_number, person_number, product FROM staged_holdings s WHERE NOT EXISTS ("
                "SELECT FROM reku.holdings h WHERE h.institute = s.institute AND h.contract_number = s.contract_number"
                ")"
            )
        )
    )


def test_no_row_is_looked_for_in_the_whole_of_a_table_that_is_being_filled(database: sa.Engine) -> None:
    rows = [(BLZ, f"v{number}", "p", "GIRO") for number in range(5_000)]
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE reku.holdings"))  # now it is known to be empty
    with database.begin() as connection:
        staged = stage(connection, holdings, COLUMNS, rows)
        assert "Nested Loop" not in _plan(connection)
        assert add_new(connection, holdings, staged) == len(rows)
        connection.execute(sa.text("SET LOCAL enable_nestloop = on"))
        connection.execute(sa.delete(holdings))
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE reku.holdings"))
