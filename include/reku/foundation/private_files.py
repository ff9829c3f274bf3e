"""What this software writes is about people: only its own account may read it, but for what a bank fetches.

Files are made with 600 and folders with 700, since every process begins with `keep_private`. The folders that a bank
delivers to and fetches from are opened to the group of `REKU_FILES_GROUP`, where one is named.
"""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

from reku.foundation.errors import SetupError

UMASK = 0o077
PRIVATE_FOLDER = 0o700
_OTHERS = 0o007
_GROUP_MAY_FETCH = stat.S_ISGID | 0o770
_GROUP_MAY_PASS = stat.S_ISGID | 0o750
_FETCHED_FILE = 0o640


def keep_private() -> None:
    """Let nobody else read what this process, and those it starts, will make. The first thing that each one does."""
    os.umask(UMASK)


def private_folder(folder: Path) -> Path:
    """Make a folder of ours, if need be, and close it to others; the folder itself.

    A group that somebody has let in on purpose stays in. Raises SetupError if a link lies there, OSError.
    """
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise SetupError(
            f"The folder {folder} is a link. Links are not followed, since what is written there is about people. Put "
            "a real folder in its place, or name the place that it leads to in the settings."
        )
    if found.st_mode & _OTHERS and found.st_uid == os.geteuid():
        folder.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    return folder


def open_to_group(folder: Path, group: str, *, fetches: bool) -> None:
    """Let a group into a folder: to fetch and to deliver there, or only to pass through it.

    A folder of somebody else's account is left as it is. Raises SetupError if this machine has no such group, or if
    this account may not give a folder to it.
    """
    found = folder.stat()
    if found.st_uid != os.geteuid():
        return
    wanted, mode = _group_id(group), _GROUP_MAY_FETCH if fetches else _GROUP_MAY_PASS
    try:
        if found.st_gid != wanted:
            os.chown(folder, -1, wanted)
        if stat.S_IMODE(found.st_mode) != mode:
            folder.chmod(mode)
    except PermissionError:
        raise SetupError(
            f"The folder {folder} cannot be given to the group {group} of REKU_FILES_GROUP. Make the account that runs "
            f"this a member of it: usermod --append --groups {group} ACCOUNT"
        ) from None


def is_fetched_from(folder: Path) -> bool:
    """Whether a group fetches files there."""
    return bool(folder.stat().st_mode & stat.S_ISGID)


def let_group_read(file: Path) -> None:
    """Let the group of a file's folder read it."""
    file.chmod(_FETCHED_FILE)


def _group_id(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise SetupError(
            f"REKU_FILES_GROUP names {group!r}, and this machine has no such group. Make it (groupadd {group}), or "
            "name the one that the banks' accounts belong to."
        ) from None
