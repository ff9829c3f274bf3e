"""The embedded PostgreSQL, with the real programs: start, stop, survive a kill -9, disturb nobody."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import sqlalchemy as sa

from reku.foundation.errors import SetupError
from reku.runtime import places
from reku.runtime.postgres import Postgres
from reku_testing.throwaway import ThrowawayPostgres

pytestmark = pytest.mark.processes
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends PostgreSQL another account")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Data as `initdb` makes it; copying it is quicker than making it for every test."""
    server = ThrowawayPostgres(tmp_path_factory.mktemp("made_once"))
    server.start()
    server.stop()
    yield server
    server.remove()


@pytest.fixture
def server(made_once: Postgres, tmp_path: Path) -> Iterator[Postgres]:
    """A server that was stopped before."""
    server = ThrowawayPostgres(tmp_path)
    places.make_root(server.state.parent)
    places.make_private(server.state, server.account)
    subprocess.run(["cp", "-a", str(made_once.data), str(server.data)], check=True)
    yield server
    server.remove()


def _processes_of(server: Postgres) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if server._works_here(process)]


def test_start_serves_both_drivers_and_keeps_data_over_a_restart(server: Postgres) -> None:
    server.start()
    assert server.answers()
    server.create_database("reku")
    server.create_database("reku")  # a second time changes nothing
    with sa.create_engine(server.url("reku")).begin() as connection:
        connection.execute(sa.text("CREATE TABLE kept (text text)"))
        connection.execute(sa.text("INSERT INTO kept VALUES ('Jürgen Groß')"))
    server.stop()
    assert not server.answers()
    assert _processes_of(server) == []

    server.start()
    with sa.create_engine(server.url("reku", driver="psycopg2")).connect() as connection:
        assert connection.scalar(sa.text("SELECT text FROM kept")) == "Jürgen Groß"
        assert connection.scalar(sa.text("SHOW server_encoding")) == "UTF8"
        assert connection.scalar(sa.text("SHOW listen_addresses")) == ""
        assert connection.scalar(sa.text("SELECT lower('ÄÖÜ')")) == "äöü"


def test_survives_kill_9_of_the_postmaster_with_a_busy_backend(server: Postgres) -> None:
    server.start()
    server.create_database("reku")
    busy = psycopg.connect(host=str(server.socket_folder), port=5432, user="postgres", dbname="reku", autocommit=True)
    backend = psutil.Process(busy.info.backend_pid)
    backend.suspend()  # it can't notice that the postmaster died, as one in a long computation
    postmaster = server.postmaster()
    assert postmaster is not None
    postmaster.send_signal(signal.SIGKILL)
    postmaster.wait(10)
    assert (server.data / "postmaster.pid").exists()

    server.start()
    assert server.answers()
    assert not backend.is_running()
    busy.close()


def test_a_pid_file_whose_number_went_to_another_program_neither_blocks_nor_kills_it(server: Postgres) -> None:
    stranger = subprocess.Popen(
        ["sleep", "60"],
        **({"user": server.account.uid, "extra_groups": []} if server.account.switch else {}),
    )
    try:
        (server.data / "postmaster.pid").write_text(f"{stranger.pid}\n{server.data}\n1\n5432\n\n\n1 1\nready\n")
        server.start()
        assert server.answers()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_second_start_on_the_same_data_is_refused_and_harms_nothing(server: Postgres) -> None:
    server.start()
    with pytest.raises(SetupError, match=r"already runs on .* \(pid \d+\)"):
        Postgres(server.state, durable=False).start()
    assert server.answers()


def test_a_broken_server_says_why_it_ended(server: Postgres) -> None:
    (server.data / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(SetupError, match="no_such_setting"):
        server.start()


def test_data_of_another_major_version_is_refused(server: Postgres) -> None:
    (server.data / "PG_VERSION").write_text("15\n")
    with pytest.raises(SetupError, match="made by PostgreSQL 15, installed is 18"):
        server.start()


def test_a_half_made_data_folder_is_made_anew(server: Postgres) -> None:
    shutil.rmtree(server.data)
    (server.state / "data.new").mkdir()
    (server.state / "data.new" / "PG_VERSION").write_text("18\n")
    server.start()
    assert server.answers()


def test_parent_folders_keep_their_permissions(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = [(path, path.stat().st_mode) for path in (closed, *closed.parents)]
    server = ThrowawayPostgres(closed)
    server.start()
    try:
        assert [(path, path.stat().st_mode) for path in (closed, *closed.parents)] == before
        assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700
    finally:
        server.remove()
    assert not server.state.exists()


@as_root
def test_root_lends_it_another_account(server: Postgres) -> None:
    server.start()
    assert server.postmaster() is not None
    assert {process.uids().real for process in _processes_of(server)} == {server.account.uid}
    assert server.account.uid != 0


def test_the_socket_of_a_long_path_goes_to_a_private_folder_below_tmp(tmp_path: Path) -> None:
    owner = places.account()
    deep = tmp_path / ("x" * 120)
    chosen = places.socket_folder(deep, owner)
    assert chosen.parent == places.SHORT_SOCKETS
    assert len(os.fsencode(chosen / places.SOCKET_NAME)) <= places.LONGEST_SOCKET_PATH
    assert places.socket_folder(Path("/var/lib/reku/0123"), owner) == Path("/var/lib/reku/0123")
    assert places.socket_folder(Path("/var/lib/re ku/0123"), owner) != Path("/var/lib/re ku/0123")


@pytest.mark.parametrize("squat", ["open", "symlink", "file"])
def test_a_squatted_folder_is_refused(tmp_path: Path, squat: str) -> None:
    folder = tmp_path / "taken"
    owner = places.Account(os.geteuid(), os.getegid(), switch=False)
    if squat == "open":
        folder.mkdir()
        folder.chmod(0o777)
    elif squat == "symlink":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.touch()
    with pytest.raises(SetupError, match="belongs to us alone"):
        places.make_private(folder, owner)


def test_two_checkouts_never_share(tmp_path: Path) -> None:
    assert places.state_of(tmp_path / "a") != places.state_of(tmp_path / "b")
    assert places.state_of(tmp_path / "a") == places.state_of(tmp_path / "b" / ".." / "a")
