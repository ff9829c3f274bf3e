"""The contact benchmark measures what it says: everybody is decided, and the peer meets the same rows."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from reku.bench import contact
from reku.bench.world import World
from reku.foundation.errors import SetupError
from reku.store.tables import contacts, suppressions


def test_both_sides_look_at_the_same_people_and_rows(bench_world: World) -> None:
    ids = contact.build(bench_world, people=200, rows=2000)
    assert len(ids) == 200
    assert [_count(bench_world, table) for table in (suppressions, contacts)] == [2000, 2000]
    figure = contact.figure(bench_world.engine, ids, rounds=1, rows=2000)
    with bench_world.engine.begin() as connection:
        connection.execute(sa.delete(suppressions))
        connection.execute(sa.delete(contacts))
    with pytest.raises(SetupError, match="cannot be right"):
        contact.decide(bench_world.engine, ids)
    with pytest.raises(SetupError, match="has met nothing"):
        contact.join(bench_world.engine, ids)
    assert figure.pop("ratio") > 0
    assert figure == {
        "stage": "contact",
        "what": "everybody of a delivery decided, 2000 suppressions, 2000 contacts",
        "against": "the bare join of the same people to both tables, counting rows",
        "at_least": 0.5,
        "rounds": 1,
        "rows": 200,
    }


def _count(there: World, table: sa.Table) -> int:
    with there.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
