"""Where the embedded database may live, and under which account it runs.

PostgreSQL refuses to run as root, so root lends it an unprivileged account and keeps its files where that account may
go anyway (`/var/lib/reku`). An ordinary user keeps them below the own state folder. Permissions of folders that were
there before are never changed; a folder that does not look as we would have made it is refused, not mended.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from reku.foundation.errors import SetupError

SYSTEM_STATE = Path("/var/lib/reku")
SHORT_SOCKETS = Path("/tmp")  # noqa: S108 - only for a folder of mode 0700 whose owner is verified below
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 107  # bytes that fit into sockaddr_un on Linux, without the closing zero


@dataclass(frozen=True)
class Account:
    """The account a server runs under; `switch` says whether we have to change to it (we are root)."""

    uid: int
    gid: int
    switch: bool


def account() -> Account:
    """The account the database runs under: our own, or `nobody` for root.

    Raises SetupError for root on a machine without `nobody`.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), switch=False)
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise SetupError(
            "PostgreSQL never runs as root and this machine has no account `nobody`; start as an ordinary user."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid, switch=True)


def short_hash(path: Path) -> str:
    """Twelve hex digits that stand for a path: two checkouts on one machine never share anything."""
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]


def state_of(home: Path) -> Path:
    """The folder of the database that belongs to `home` (a checkout's state folder); it need not exist yet."""
    return state_root() / short_hash(home)


def state_root() -> Path:
    """The folder above all our databases of this user."""
    if os.geteuid() == 0:
        return SYSTEM_STATE
    given = os.environ.get("XDG_STATE_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"
    return base / "reku"


def make_root(folder: Path) -> None:
    """Create the folder above our databases. Raises SetupError if it can't be made or others may write into it."""
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"No write permission for {folder}, where the database is to live ({error.strerror}). "
            "Allow it, or name a PostgreSQL server of your own in REKU_DATABASE_URL."
        ) from None
    _refuse_foreign(folder, os.geteuid(), forbidden=0o022)


def make_private(folder: Path, owner: Account) -> None:
    """Create `folder` for `owner` alone (mode 0700), or accept it if it is exactly that already."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise SetupError(f"Can't create {folder} for the database: {error.strerror}.") from None
    else:
        os.chown(folder, owner.uid, owner.gid)
    _refuse_foreign(folder, owner.uid, forbidden=0o077)


def _refuse_foreign(folder: Path, uid: int, *, forbidden: int) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or stat.S_IMODE(status.st_mode) & forbidden:
        raise SetupError(
            f"{folder} is not a folder that belongs to us alone (owner {status.st_uid}, "
            f"mode {stat.S_IMODE(status.st_mode):04o}); somebody else made it. Remove it and start again."
        )


def socket_folder(state: Path, owner: Account) -> Path:
    """Where the socket goes: into the state folder, or below /tmp where that path is too long or odd for a URL."""
    length = len(os.fsencode(state / SOCKET_NAME))
    if length <= LONGEST_SOCKET_PATH and re.fullmatch(r"[A-Za-z0-9/._-]+", str(state)):
        return state
    return SHORT_SOCKETS / f"reku-{owner.uid}-{short_hash(state)}"
