"""Advisory locks between sessions: held by one, let go at once, gone with a session that died."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation.settings import INCLUDE
from reku.store.locks import Lock, is_held_by, lock_until_commit, session_lock, session_of

BLZ = 99990001


def _is_free(engine: sa.Engine, lock: Lock, of: int) -> bool:
    with session_lock(engine, lock, of) as connection:
        return connection is not None


@pytest.mark.parametrize("lock", Lock)
def test_one_session_at_a_time_holds_a_lock_and_no_other_lock_with_it(database: sa.Engine, lock: Lock) -> None:
    with session_lock(database, lock, BLZ) as connection:
        assert connection is not None
        assert [other for other in Lock if not _is_free(database, other, BLZ)] == [lock]
        assert _is_free(database, lock, BLZ + 1)
    assert _is_free(database, lock, BLZ)


def test_it_is_let_go_at_once_whatever_became_of_the_work(database: sa.Engine) -> None:
    def fail() -> None:
        with session_lock(database, Lock.FILES, BLZ) as connection:
            assert connection is not None
            connection.execute(sa.text("SELECT 1"))
            raise ZeroDivisionError

    for _ in range(50):  # a server notices a closed connection a little later
        with pytest.raises(ZeroDivisionError):
            fail()
        assert _is_free(database, Lock.FILES, BLZ)


def test_it_is_waited_for_no_longer_than_one_likes(database: sa.Engine) -> None:
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with session_lock(database, Lock.FILES, BLZ):
            held.set()
            let_go.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    with session_lock(database, Lock.FILES, BLZ, wait_seconds=0.05) as connection:
        assert connection is None
    threading.Timer(0.05, let_go.set).start()
    with session_lock(database, Lock.FILES, BLZ, wait_seconds=30) as connection:
        assert connection is not None
        assert connection.scalar(sa.text("SHOW lock_timeout")) == "0"  # the work under the lock may take its time
    holder.join()


def test_it_falls_with_the_session_that_held_it(database: sa.Engine) -> None:
    with database.connect() as other, session_lock(database, Lock.DELIVERY, 7) as connection:
        assert connection is not None
        session = session_of(connection)
        assert is_held_by(other, session, Lock.DELIVERY, 7)
        other.execute(sa.text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": session})
        assert not is_held_by(other, session, Lock.DELIVERY, 7)
        assert _is_free(database, Lock.DELIVERY, 7)


def test_a_lock_until_commit_ends_with_the_transaction(database: sa.Engine) -> None:
    with database.connect() as connection:
        for _ in range(2):
            lock_until_commit(connection, Lock.PEOPLE, BLZ)
            assert not _is_free(database, Lock.PEOPLE, BLZ)
            connection.rollback()
            assert _is_free(database, Lock.PEOPLE, BLZ)


def test_no_other_module_takes_an_advisory_lock() -> None:
    own = {Path("store/locks.py"), Path("runtime/postgres.py")}
    code = {file.relative_to(INCLUDE / "reku"): file for file in (INCLUDE / "reku").rglob("*.py")}
    takers = {name for name, file in code.items() if re.search(r"\bpg_\w*advisory", file.read_text(encoding="utf-8"))}
    assert takers - own == set()
