"""A real IMAP server for tests: Dovecot, unprivileged, on free loopback ports and in a folder of its own."""

from __future__ import annotations

import grp
import imaplib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from reku.foundation import settings as settings_module
from reku.foundation.settings import settings
from reku.mailbox.imap import ImapMailbox
from reku_testing.certificate import self_signed
from reku_testing.dispatching import change_settings
from reku_testing.ports import free_port

PASSWORD = "geheim; \"ä'"
PROGRAM, HELPERS = Path("/usr/sbin/dovecot"), Path("/usr/lib/dovecot")

_CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/relay.pem
ssl_key = <{folder}/relay.pem
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%u
mail_max_userip_connections = 100
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=any {folder}/password
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%u
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
namespace inbox {{
  inbox = yes
  separator = {separator}
  prefix = {prefix}
}}
"""


@dataclass(frozen=True)
class Server:
    """A running server. Every user name is an account of its own, empty at first, with the same password."""

    port: int
    tls_port: int
    certificate: Path

    @contextmanager
    def login(self, user: str) -> Iterator[imaplib.IMAP4]:
        """As a mail program."""
        with imaplib.IMAP4("127.0.0.1", self.port, timeout=20) as client:
            client.authenticate("PLAIN", lambda _: f"\0{user}\0{PASSWORD}".encode())
            yield client

    def deliver(self, user: str, *mails: bytes, folder: str = "INBOX", at: datetime | None = None) -> None:
        """Put mails into a folder."""
        with self.login(user) as client:
            for mail in mails:
                moment = imaplib.Time2Internaldate(at) if at else ""
                assert client.append(folder, "", moment, mail)[0] == "OK"

    def mails(self, user: str, folder: str = "INBOX") -> list[bytes]:
        """Raw mails of a folder, none if there is no such folder."""
        with self.login(user) as client:
            found, number = client.select(f'"{folder}"', readonly=True)
            if found != "OK" or number == [b"0"]:
                return []
            answer = client.fetch("1:*", "(BODY.PEEK[])")[1]
            return [item[1] for item in answer if isinstance(item, tuple)]

    def flags(self, user: str, folder: str) -> list[bytes]:
        """The flags of each mail."""
        with self.login(user) as client:
            client.select(f'"{folder}"', readonly=True)
            return [item for item in client.fetch("1:*", "(FLAGS)")[1] if isinstance(item, bytes)]


@contextmanager
def dovecot(*, separator: str = ".", prefix: str = "", more: str = "") -> Iterator[Server]:
    """Start a server and stop it at the end; skips the test where there is none."""
    if not (PROGRAM.exists() and (HELPERS / "imap").exists()):
        pytest.skip("there is no Dovecot: apt install dovecot-imapd (`make test` does it where it may)")
    root = os.getuid() == 0
    account = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.getuid())
    folder = Path(tempfile.mkdtemp(prefix="reku-dovecot-", dir="/tmp"))
    port, tls_port = free_port(), free_port()
    try:
        certificate = self_signed(folder)
        (folder / "password").write_text(f"any:{{PLAIN}}{PASSWORD}\n", encoding="utf-8")
        configuration = folder / "dovecot.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=folder,
                user=account.pw_name,
                group=grp.getgrgid(account.pw_gid).gr_name,
                port=port,
                tls_port=tls_port,
                separator=separator,
                prefix=prefix,
            )
            + more,
            encoding="utf-8",
        )
        (folder / "mail").mkdir()
        for path in (folder, *folder.iterdir()) if root else ():
            os.chown(path, account.pw_uid, account.pw_gid)
        process = subprocess.Popen(
            [PROGRAM, "-F", "-c", configuration],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=account.pw_uid if root else None,
            group=account.pw_gid if root else None,
            extra_groups=[] if root else None,
        )
        try:
            _wait_for(process, port, folder / "log")
            yield Server(port, tls_port, certificate)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
            if connection.recv(100).startswith(b"* OK"):
                return
        time.sleep(0.05)
    raise AssertionError(f"Dovecot does not answer: {log.read_text() if log.exists() else ''}")


@contextmanager
def cutting(port: int, after: int) -> Iterator[int]:
    """A port that passes everything on to another one, and breaks each connection after so many bytes of answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    server = socket.create_connection(("127.0.0.1", port))
                    threading.Thread(target=_pass_on, args=(client, server, 1 << 60), daemon=True).start()
                    threading.Thread(target=_pass_on, args=(server, client, after), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _pass_on(source: socket.socket, target: socket.socket, left: int) -> None:
    with suppress(OSError):
        while left > 0 and (data := source.recv(min(left, 65_536))):
            target.sendall(data)
            left -= len(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


Open = Callable[..., AbstractContextManager[ImapMailbox]]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Dovecot as it comes: TLS, MOVE, UIDPLUS, folders parted by dots."""
    with dovecot() as running:
        yield running


@pytest.fixture
def opened(reku_settings: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Log in as a collector; keyword arguments change the settings."""

    def open_(server: Server, user: str, **changes: object) -> AbstractContextManager[ImapMailbox]:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        wanted = {"host": "127.0.0.1", "port": server.tls_port, "user": user, "password": PASSWORD} | changes
        change_settings(monkeypatch, **{f"bounce_imap_{name}": value for name, value in wanted.items()})
        return ImapMailbox.opened(settings())

    yield open_
    settings_module.settings.cache_clear()
