"""The world of the benchmarks, in the database of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.bench.world import World, world_in


@pytest.fixture
def bench_world(database: sa.Engine, tmp_path: Path) -> Iterator[World]:
    """Benchmarks put rows into the state that they measure, whatever came before (see reku_testing/steps.py)."""
    engine = sa.create_engine(database.url.update_query_dict({"options": "-creku.any_step=yes"}))
    yield world_in(engine, tmp_path)
    engine.dispose()
