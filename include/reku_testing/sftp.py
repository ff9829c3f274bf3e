"""Real SFTP servers on free ports of the loopback: asyncssh's, which can be told to misbehave, and OpenSSH's."""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from reku.foundation.sftp import Sftp
from reku_testing.ports import free_port

USER, PASSWORD = "reku", "geheim:/?#%"


@dataclass
class Behaviour:
    """What a server does besides serving files. `at_write`: called with the number of each write, from 1."""

    renames_over: bool = True
    at_write: Callable[[int], bool] = lambda _number: False
    """True: the connection is dropped."""
    full: bool = False
    """Writes are taken and thrown away, as by a server whose disk is full and which tells it too late."""
    logins: int = 0
    writes: int = 0


@dataclass
class Place:
    """A server and what a client needs for it. `root`: the folder behind its `/`."""

    port: int
    root: Path
    key: Path
    known_hosts: Path
    user: str = USER
    path: str = ""
    behaviour: Behaviour = field(default_factory=Behaviour)

    def url(self, password: str = "") -> str:
        """The URL of its root."""
        login = f"{self.user}:{password}" if password else self.user
        return f"sftp://{login}@127.0.0.1:{self.port}{self.path}"

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make it the place of all files, for the processes started from now on as well."""
        monkeypatch.setenv("REKU_FILES_URL", self.url())
        monkeypatch.setenv("REKU_SFTP_KEY", str(self.key))
        monkeypatch.setenv("REKU_SFTP_KNOWN_HOSTS", str(self.known_hosts))


@contextmanager
def asyncssh_server(folder: Path, port: int = 0) -> Iterator[Place]:
    """A server in a thread of this process. Log-in by key or by PASSWORD."""
    logging.getLogger("asyncssh").setLevel(logging.WARNING)  # tests look at what the client logs
    host_key, user_key = (_key(folder / name) for name in ("host_key", "user_key"))
    root = folder / "served"
    root.mkdir(exist_ok=True)
    behaviour = Behaviour()

    class Login(asyncssh.SSHServer):
        def begin_auth(self, _username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (USER, PASSWORD)

        def auth_completed(self) -> None:
            behaviour.logins += 1

    class Files(asyncssh.SFTPServer):
        def __init__(self, channel: Any) -> None:
            super().__init__(channel, chroot=os.fsencode(root))

        def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
            if not behaviour.renames_over:
                raise asyncssh.SFTPOpUnsupported("no extensions here")
            return super().posix_rename(oldpath, newpath)

        def write(self, file_obj: Any, offset: int, data: bytes) -> Any:
            behaviour.writes += 1
            if behaviour.at_write(behaviour.writes):
                self.channel.get_connection().abort()
                raise asyncssh.SFTPConnectionLost("dropped")
            return len(data) if behaviour.full else super().write(file_obj, offset, data)

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            Login,
            "127.0.0.1",
            port,
            server_host_keys=[str(host_key)],
            authorized_client_keys=f"{user_key}.pub",
            sftp_factory=Files,
        )

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
        bound = server.get_port()
        yield Place(bound, root, user_key, _known(folder, host_key, bound), behaviour=behaviour)
        server.close()
    finally:
        _hang_up()
        asyncio.run_coroutine_threadsafe(_end_tasks(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def openssh_server() -> Iterator[Place]:
    """OpenSSH's sshd, key log-in only, with its own SFTP server. Skips where it is not installed.

    As root it runs under `nobody`: for root it wants an account and folders of the machine.
    """
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if sshd is None:
        pytest.skip("OpenSSH's server is not installed. On Debian and Ubuntu: apt install openssh-server")
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with tempfile.TemporaryDirectory(prefix="reku-sshd-") as name:
        folder = Path(name)
        host_key, user_key = (_key(folder / key) for key in ("host_key", "user_key"))
        root, authorized, config = folder / "served", folder / "authorized_keys", folder / "sshd_config"
        root.mkdir()
        shutil.copy(f"{user_key}.pub", authorized)
        port = free_port()
        config.write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nPidFile none\n"
            f"AuthorizedKeysFile {authorized}\nStrictModes no\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nUsePAM yes\nSubsystem sftp internal-sftp\n"
        )
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
        log = folder / "log"
        with log.open("w") as errors:
            server = subprocess.Popen([sshd, "-D", "-e", "-f", config], stderr=errors, **_as(account))
        try:
            _wait_for(port, server, log)
            known = _known(folder, host_key, port)
            yield Place(port, root, user_key, known, user=account.pw_name, path=str(root))
        finally:
            _hang_up()
            server.terminate()
            server.wait(10)


def _as(account: pwd.struct_passwd) -> dict[str, Any]:
    """Without root's groups either: what can read /etc/shadow finds that `nobody` is locked."""
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}


def _hang_up() -> None:
    """Close this process's connections, and forget them."""
    for files in list(Sftp._cache.values()):
        files.client.close()
    Sftp.clear_instance_cache()


async def _end_tasks() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0.05)  # the sockets of what was cancelled are closed


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if server.poll() is not None:
            pytest.skip(f"sshd does not run here: {log.read_text().strip()}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except ConnectionError:
            time.sleep(0.05)
    pytest.fail("sshd does not listen")


def _key(path: Path) -> Path:
    if not path.exists():
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(path))
        key.write_public_key(f"{path}.pub")
        path.chmod(0o600)
    return path


def _known(folder: Path, host_key: Path, port: int) -> Path:
    known = folder / "known_hosts"
    kind, key = Path(f"{host_key}.pub").read_text().split()[:2]
    known.write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    return known
