"""The database of a worker is as new for every test, and a test that would spoil the next one is told."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from reku_testing.postgres import empty

STOPS = sa.text(
    "INSERT INTO reku.stops (since, actor, note) SELECT now(), 'a', repeat('x', 1000) FROM generate_series(1, :rows)"
)


@pytest.mark.parametrize("rows", [1, 500])  # one is deleted, 500 kB are truncated
def test_emptied_is_as_new(database: sa.Engine, rows: int) -> None:
    ids = []
    for _ in range(2):
        with database.begin() as connection:
            connection.execute(STOPS, {"rows": rows})
            ids.append(connection.scalars(sa.text("SELECT id FROM reku.stops ORDER BY id")).all())
        empty(database)
    assert ids[0] == ids[1] == list(range(1, rows + 1))
    with database.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM reku.stops")) == 0


def test_no_table_and_no_sequence_is_forgotten(database: sa.Engine) -> None:
    with database.connect() as connection:
        function = connection.scalar(sa.text("SELECT prosrc FROM pg_proc WHERE proname = 'empty_tables'"))
        tables = connection.scalars(sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'reku'")).all()
        sequences = connection.scalars(sa.text("SELECT sequencename FROM pg_sequences")).all()
    assert len(tables) > 20
    assert len(sequences) > 10
    for table in set(tables) - {"alembic_version"}:
        assert f'TRUNCATE "reku"."{table}" CASCADE;' in function
    for sequence in sequences:
        assert f"setval('reku.{sequence}', 1, false)" in function


def test_a_transaction_left_open_is_told(database: sa.Engine) -> None:
    with database.connect() as left_open:
        left_open.execute(STOPS, {"rows": 1})
        with pytest.raises(sa.exc.DBAPIError, match=r"left a transaction open: idle in transaction: INSERT INTO"):
            empty(database)
    empty(database)
