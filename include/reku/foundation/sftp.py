"""SFTP for fsspec, as a bank's network wants it: known servers only, and no file seen in part.

fsspec's own file system takes any host key, so that whoever stands in between could read along.
"""

from __future__ import annotations

import hashlib
import logging
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

from reku.foundation.errors import SetupError
from reku.foundation.settings import settings

# At INFO and below it tells of each connection and path.
logging.getLogger("paramiko").setLevel(logging.WARNING)

_PATIENCE = 30.0
"""Seconds that a silent server is waited for."""
_KEEPALIVE = 15
_LOST = (paramiko.SSHException, EOFError)
"""What paramiko raises, besides OSError, when a connection breaks."""


class _Refuse(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko comes without types
    def missing_host_key(self, _client: object, hostname: str, key: Any) -> None:
        raise SetupError(
            f"The SFTP server {hostname} is not known: it shows a {key.get_name()} key with the fingerprint "
            f"{key.fingerprint}. Compare it with what its operator tells you, then add it to {_known_hosts()} "
            "(`ssh-keyscan -p PORT HOST`)."
        )


def _known_hosts() -> str:
    return str(settings().sftp_known_hosts or "~/.ssh/known_hosts")


class Sftp(SFTPFileSystem):  # type: ignore[misc]  # fsspec comes without types
    """Files over SFTP. Login by `REKU_SFTP_KEY`, by a password, or by the account's own keys."""

    def __init__(self, host: str, **options: Any) -> None:
        for part in ("url_query", "url_fragment"):
            options.pop(part, None)
        super().__init__(host, **options)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        # A URL without a path means the root, which SFTP does not know by an empty name.
        return str(super()._strip_protocol(path)) or "/"

    @staticmethod
    def _get_kwargs_from_urls(urlpath: str) -> dict[str, Any]:
        options: dict[str, Any] = SFTPFileSystem._get_kwargs_from_urls(urlpath)
        return options | {part: unquote(options[part]) for part in ("username", "password") if part in options}

    def revive(self) -> None:
        """Connect anew if the connection is gone. Raises SetupError."""
        if not self._is_alive():
            self.client.close()
            self._connect()

    def replace(self, draft: str, path: str, blocks: Iterable[bytes]) -> None:
        """Write a draft and rename it to `path`. Raises OSError; the next call of `revive` connects anew then."""
        with self._connection():
            self.makedirs(path.rpartition("/")[0], exist_ok=True)
            check_sum = hashlib.sha256()
            try:
                self._upload(draft, blocks, check_sum)
                self._rename(draft, path, check_sum)
            except BaseException:  # no draft is left, not by an interruption either
                with suppress(OSError, *_LOST):
                    self.ftp.remove(draft)
                raise

    def mv(self, old: str, new: str) -> None:
        """Rename a file, over an older one too."""
        with self._connection():
            self._rename(self._strip_protocol(old), self._strip_protocol(new))

    def is_link(self, path: str) -> bool:
        """Whether a link lies there. Raises OSError."""
        with self._connection():
            try:
                return stat.S_ISLNK(self.ftp.lstat(path).st_mode or 0)
            except FileNotFoundError:
                return False

    def _connect(self) -> None:
        self.client = paramiko.SSHClient()
        try:
            self._log_in()
        except BaseException as error:  # an interruption as well must not leave the connection open
            self.client.close()
            if (text := _explained(error)) is None:
                raise
            port = self.ssh_kwargs.get("port", 22)
            raise SetupError(f"The SFTP server {self.host}:{port} {text}") from error

    def _log_in(self) -> None:
        s, options = settings(), dict(self.ssh_kwargs)
        if password := s.sftp_password.get_secret_value():
            options.setdefault("password", password)
        if s.sftp_key is not None:
            options["key_filename"] = str(s.sftp_key)
        if "password" in options or "key_filename" in options:
            # Servers hang up after a few wrong ones.
            options |= {"look_for_keys": False, "allow_agent": False}
        self.client.set_missing_host_key_policy(_Refuse())
        self.client.load_system_host_keys(str(s.sftp_known_hosts) if s.sftp_known_hosts else None)
        self.client.connect(self.host, timeout=_PATIENCE, banner_timeout=_PATIENCE, auth_timeout=_PATIENCE, **options)
        self.client.get_transport().set_keepalive(_KEEPALIVE)
        self.ftp = self.client.open_sftp()
        self.ftp.get_channel().settimeout(_PATIENCE)

    def _upload(self, draft: str, blocks: Iterable[bytes], check_sum: hashlib._Hash) -> None:
        size = 0
        with self.ftp.open(draft, "wb") as file:
            file.set_pipelined(True)  # otherwise each 32 KB wait for their answer
            for block in blocks:
                file.write(block)
                check_sum.update(block)
                size += len(block)
        # With pipelining, a full disk shows only here.
        stored = self.ftp.stat(draft).st_size
        if stored != size:
            raise OSError(f"the server has stored {stored} of {size} bytes")

    def _rename(self, old: str, new: str, check_sum: hashlib._Hash | None = None) -> None:
        try:
            self.ftp.posix_rename(old, new)
        except OSError as error:
            if error.errno is not None:  # no such file, no permission
                raise
            self._rename_by_version_3(old, new, check_sum)

    def _rename_by_version_3(self, old: str, new: str, check_sum: hashlib._Hash | None) -> None:
        """For servers without OpenSSH's extension: the protocol's own rename never replaces a file."""
        if self.exists(new):
            if check_sum is not None and self._sum(new) == check_sum.digest():
                self.ftp.remove(old)
                return
            self.ftp.remove(new)
        self.ftp.rename(old, new)

    def _sum(self, path: str) -> bytes:
        with self.ftp.open(path, "rb") as file:
            file.prefetch()
            return hashlib.file_digest(file, "sha256").digest()

    @contextmanager
    def _connection(self) -> Iterator[None]:
        """Turns a connection that breaks into an OSError, and leaves it closed."""
        try:
            yield
        except (OSError, *_LOST) as error:
            if isinstance(error, OSError) and not isinstance(error, TimeoutError) and self._is_alive():
                raise
            self.client.close()
            raise OSError(f"the SFTP server {self.host} has dropped the connection, or is silent") from error

    def _is_alive(self) -> bool:
        transport = self.client.get_transport()
        return transport is not None and transport.is_active() and not self.ftp.get_channel().closed


def _explained(error: BaseException) -> str | None:
    """What a failed login means and what to do, or None if it is none."""
    if isinstance(error, paramiko.BadHostKeyException):
        return (
            f"shows another key than {_known_hosts()} has of it. It may not be the server that it claims to be: ask "
            "its operator before you change anything."
        )
    if isinstance(error, paramiko.AuthenticationException):
        return "does not accept the login. Check the user in REKU_FILES_URL, and REKU_SFTP_KEY or REKU_SFTP_PASSWORD."
    if isinstance(error, (OSError, *_LOST)):
        reason = getattr(error, "strerror", None) or type(error).__name__
        return (
            f"cannot be reached, or a file that REKU_SFTP_KEY or REKU_SFTP_KNOWN_HOSTS names cannot be read: {reason}."
        )
    return None
