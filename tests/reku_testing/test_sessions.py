"""A test meets the sessions of its own database alone, though the server is that of all workers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.store.locks import Lock, is_held, session_lock
from reku_testing import hostile, sessions

TESTS = Path(__file__).parents[1]


@pytest.fixture
def elsewhere(database: sa.Engine) -> Iterator[sa.Engine]:
    """Another database of the same server, as another worker has one."""
    engine = sa.create_engine(database.url.set(database="postgres"))
    yield engine
    engine.dispose()


def test_who_holds_a_lock_in_another_database_is_left_alone(database: sa.Engine, elsewhere: sa.Engine) -> None:
    with session_lock(elsewhere, Lock.DELIVERY, 7) as other, session_lock(database, Lock.DELIVERY, 7) as own:
        assert other is not None
        assert own is not None
        sessions.end_holder(database, Lock.DELIVERY, 8)
        assert own.scalar(sa.text("SELECT 1")) == 1
        own.rollback()
        sessions.end_holder(database, Lock.DELIVERY, 7)
        assert other.scalar(sa.text("SELECT 1")) == 1
        with pytest.raises(sa.exc.OperationalError):
            own.scalar(sa.text("SELECT 1"))


def test_a_lock_of_another_database_is_none_of_ours(database: sa.Engine, elsewhere: sa.Engine) -> None:
    """Two installations may share a server: a run of one is no run of the other."""
    with session_lock(elsewhere, Lock.RUN, 7), database.connect() as asking, elsewhere.connect() as there:
        assert not is_held(asking, Lock.RUN, 7)
        assert is_held(there, Lock.RUN, 7)


def test_who_waits_in_another_database_is_neither_counted_nor_ended(database: sa.Engine, elsewhere: sa.Engine) -> None:
    def waits(engine: sa.Engine) -> bool:
        with session_lock(engine, Lock.DELIVERY, 7, wait_seconds=30) as connection:
            return connection is not None

    with ThreadPoolExecutor(2) as pool, session_lock(database, Lock.DELIVERY, 7), database.connect() as asking:
        with session_lock(elsewhere, Lock.DELIVERY, 7), elsewhere.connect() as there:
            other = pool.submit(waits, elsewhere)
            hostile.until(lambda: sessions.waiting(there) == 1)
            assert sessions.waiting(asking) == 0
            own = pool.submit(waits, database)
            hostile.until(lambda: sessions.waiting(asking) == 1)
            assert sessions.end_waiting(database)
            with pytest.raises(sa.exc.OperationalError):
                own.result(timeout=30)
        assert other.result(timeout=30)


def test_no_test_asks_the_server_for_sessions_itself() -> None:
    views = re.compile(r"pg_(locks|stat_activity)\b")
    asking = {file.name for file in TESTS.rglob("*.py") if views.search(file.read_text(encoding="utf-8"))}
    assert asking <= {Path(__file__).name}
