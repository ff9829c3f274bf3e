"""The database goes away in mid-dispatch (a crash: PostgreSQL's immediate stop) and comes back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import psutil
import pytest
import sqlalchemy as sa

from reku.foundation import settings as settings_module
from reku.foundation.errors import PassingError
from reku.store.migrate import migrate
from reku_testing.dispatching import DAY, Sink, account, change_settings, claimed, dispatch, loaded, people, states
from reku_testing.throwaway import ThrowawayPostgres

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowawayPostgres]:
    """A database of its own, which keeps what it has committed."""
    server = ThrowawayPostgres(tmp_path_factory.mktemp("own"))
    server.start()
    server.create_database("away")
    engine = sa.create_engine(server.url("away"))
    migrate(engine)
    engine.dispose()
    server.stop()
    server.durable = True
    server.start()
    yield server
    server.remove()


@pytest.fixture
def database(server: ThrowawayPostgres, reku_settings: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    """That database, as `store.engine` makes an engine for it; empty, since this is asked for once only."""
    change_settings(monkeypatch, database_url=server.url("away"))
    from reku.store.engine import engine

    with engine().begin() as connection:
        connection.execute(sa.text("TRUNCATE reku.orders, reku.files CASCADE"))
    yield engine()
    engine().dispose()
    settings_module.settings.cache_clear()


def _crash(server: ThrowawayPostgres) -> None:
    postmaster = server.postmaster()
    assert postmaster is not None
    postmaster.send_signal(signal.SIGQUIT)
    psutil.wait_procs([postmaster], 10)


@pytest.mark.parametrize("is_back_at_once", [True, False])
def test_database_crash_in_mid_dispatch(
    database: sa.Engine, sink: Sink, server: ThrowawayPostgres, monkeypatch: pytest.MonkeyPatch, is_back_at_once: bool
) -> None:
    change_settings(monkeypatch, dispatch_batch=20)
    crashed = threading.Event()

    def crashes(point: str, _recipient: str) -> None:
        if point == "dot" and len(sink.taken) == 50 and not crashed.is_set():
            crashed.set()
            _crash(server)
            if is_back_at_once:
                server.start()

    sink.say = crashes
    sink.seconds = 0.005
    delivery = loaded(database, people(150))
    with pytest.raises(PassingError):
        dispatch(database, delivery, day=DAY)
    assert 50 <= len(sink.taken) < 150
    if not is_back_at_once:
        server.start()
    assert dispatch(database, delivery, day=DAY).in_doubt == 0
    assert states(database) == {"SENT": 150}
    assert claimed(database) == 0
    account(database, sink)
