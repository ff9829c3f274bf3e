"""Files over SFTP, with real servers: whole or not at all, known servers only, no password anywhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from reku.foundation.bank_folders import BankFolders
from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku_testing import banks, sftp, world
from reku_testing.by_blz import export, rebuild
from reku_testing.reported import K, World, files

BLZ = world.BLZ
WHERE = f"{BLZ}/ausgang/a.csv"
BIG = [bytes([number]) * 100_000 for number in range(30)]
"""3 MB, in blocks that tell of any that is lost or out of order."""


@pytest.fixture
def server(tmp_path: Path, reku_settings: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sftp.Place]:
    """asyncssh's server, named by REKU_FILES_URL; the log-in is by key."""
    with sftp.asyncssh_server(tmp_path) as place:
        place.use(monkeypatch)
        settings.cache_clear()
        yield place


def outbox(place: sftp.Place) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (place.root / BLZ / "ausgang").iterdir()}


@pytest.mark.parametrize("renames_over", [True, False])
def test_a_file_is_put_whole_and_over_an_older_one(server: sftp.Place, renames_over: bool) -> None:
    server.behaviour.renames_over = renames_over
    BankFolders(BLZ).write(WHERE, [b"one"])
    for data in (BIG, BIG, [b"two"], []):
        BankFolders(BLZ).write(WHERE, data)
        assert outbox(server) == {"a.csv": b"".join(data)}
    assert server.behaviour.logins == 1


def test_openssh(reku_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sftp.openssh_server() as place:
        place.use(monkeypatch)
        settings.cache_clear()
        for data in (BIG, [b"two"]):
            BankFolders(BLZ).write(WHERE, data)
            assert outbox(place) == {"a.csv": b"".join(data)}


@pytest.mark.parametrize("where", ["URL", "setting"])
def test_a_password_opens_as_well(server: sftp.Place, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setenv("REKU_SFTP_KEY", "")
    if where == "URL":
        monkeypatch.setenv("REKU_FILES_URL", server.url(password=quote(sftp.PASSWORD, safe="")))
    else:
        monkeypatch.setenv("REKU_FILES_URL", server.url() + "/")
        monkeypatch.setenv("REKU_SFTP_PASSWORD", sftp.PASSWORD)
    settings.cache_clear()
    BankFolders(BLZ).write(WHERE, [b"one"])
    assert outbox(server) == {"a.csv": b"one"}


def test_a_connection_that_drops_in_the_middle(
    server: sftp.Place, database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error is clear, the connection is not used again, and the next export finishes the file."""
    banks.configure(monkeypatch, tmp_path / "include")
    of = World(database)
    for _ in range(200):
        of.event(of.message(), K.SENT)
    server.behaviour.at_write = lambda number: number == 2
    with pytest.raises(SetupError, match="has dropped the connection") as error:
        export(database, BLZ)
    assert "number and rows are kept" in str(error.value)
    assert [name for name in outbox(server) if not name.endswith(".tmp")] == []
    assert [(file.number, file.written_at) for file in files(database)] == [(1, None)]
    assert export(database, BLZ) is None
    (file,) = files(database)
    assert outbox(server)[file.file_name] == rebuild(database, BLZ, 1)
    assert server.behaviour.logins == 2


def test_a_server_that_has_stored_less_than_it_was_sent(server: sftp.Place) -> None:
    server.behaviour.full = True
    with pytest.raises(OSError, match="stored 0 of 3000000 bytes"):
        BankFolders(BLZ).write(WHERE, BIG)
    assert outbox(server) == {}


WRONG = {
    "unknown server": ({"REKU_SFTP_KNOWN_HOSTS": "/dev/null"}, "is not known"),
    "another key than known": ({}, "shows another key"),
    "log-in refused": ({"REKU_SFTP_KEY": "", "REKU_SFTP_PASSWORD": "falsch-9f3"}, "does not accept the login"),
    "no such key": ({"REKU_SFTP_KEY": "/nowhere/key"}, "No such file"),
    "no such known hosts": ({"REKU_SFTP_KNOWN_HOSTS": "/nowhere/hosts"}, "No such file"),
    "nobody listens": ({"REKU_FILES_URL": "sftp://reku:falsch-9f3@127.0.0.1:1"}, "cannot be reached"),
    "password not quoted": ({"REKU_FILES_URL": "sftp://reku:falsch-9f3/x@127.0.0.1:22/y"}, "neither a path nor a URL"),
    "password for a port": ({"REKU_FILES_URL": "sftp://reku@127.0.0.1:falsch-9f3"}, "neither a path nor a URL"),
}


@pytest.mark.parametrize(("environment", "told"), WRONG.values(), ids=WRONG)
def test_a_server_that_cannot_be_used_is_named_without_the_password(
    server: sftp.Place,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
    environment: dict[str, str],
    told: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("REKU_FILES_URL", server.url(password="falsch-9f3"))
    if "another" in request.node.callspec.id:
        host, kind, _ = server.known_hosts.read_text().split()
        server.known_hosts.write_text(f"{host} {kind} {Path(f'{server.key}.pub').read_text().split()[1]}\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    with pytest.raises(SetupError, match=told) as error:
        BankFolders(BLZ).write(WHERE, [b"one"])
    assert "falsch-9f3" not in str(error.getrepr(style="short", chain=True))
    assert "falsch-9f3" not in caplog.text
