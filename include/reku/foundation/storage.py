"""The place named by `REKU_FILES_URL`: a folder of this machine, SFTP or S3, by fsspec. Files are seen whole only."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from fsspec import register_implementation
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractFileSystem

from reku.foundation.errors import SetupError
from reku.foundation.private_files import PRIVATE_FOLDER, is_fetched_from, let_group_read
from reku.foundation.settings import required

# fsspec logs each path it opens at DEBUG, and names of unknown files may hold anything.
logging.getLogger("fsspec").setLevel(logging.INFO)

DRAFT = ".tmp"
"""End of the names of files that are still being written; no reader takes them."""

register_implementation("sftp", "reku.foundation.sftp.Sftp", clobber=True)
register_implementation("ssh", "reku.foundation.sftp.Sftp", clobber=True)


def store() -> tuple[AbstractFileSystem, str]:
    """The file system of `REKU_FILES_URL` and the path of its root there. Raises SetupError if it cannot be used."""
    return open_url(required("files_url"), "REKU_FILES_URL")


def open_url(url: str, called: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a URL or a path, and the path of its root there; `called`: the setting that it stands in.

    Raises SetupError if it cannot be used.
    """
    try:
        files, root = url_to_fs(url)
    except ImportError as error:
        raise SetupError(f"{called} cannot be used: {error}") from error
    except (ValueError, TypeError):
        # The reason may quote the URL, which may hold a password.
        raise SetupError(
            f"{called} cannot be used: it is neither a path nor a URL of a known kind, such as "
            "sftp://user@host:22/folder. Write :/?#[]@ and % in a user's name or password as %3A, %2F …; a password "
            "is better kept in REKU_SFTP_PASSWORD."
        ) from None
    if (revive := getattr(files, "revive", None)) is not None:
        revive()
    files.invalidate_cache()  # SFTP and S3 keep listings; a scan must see what has arrived since
    return files, root.rstrip("/")


def replace_file(files: AbstractFileSystem, path: str, blocks: Iterable[bytes]) -> None:
    """Write a file under a draft's name and rename it, over an older one of the same name too; make its folder.

    Raises OSError; then nothing lies there under the name, or what did before.
    """
    # Two writers may be finishing the same file: each has a draft of its own.
    draft = f"{path}.{uuid.uuid4().hex}{DRAFT}"
    if isinstance(files, LocalFileSystem):
        _replace_on_disk(Path(draft), Path(path), blocks)
    elif (replace_there := getattr(files, "replace", None)) is not None:
        replace_there(draft, path, blocks)
    else:
        _replace_object(files, draft, path, blocks)


def move(files: AbstractFileSystem, source: str, target: str) -> None:
    """Rename a file: one step on file systems and SFTP, a copy and a removal in object stores."""
    # The general `mv` of fsspec takes * and ? in a name for a pattern; only file systems' own ones do not.
    if type(files).mv is not AbstractFileSystem.mv:
        files.mv(source, target)
    else:
        files.cp_file(source, target)
        files.rm_file(source)


def is_link(files: AbstractFileSystem, path: str) -> bool:
    """Whether a link lies there. Object stores have none."""
    if isinstance(files, LocalFileSystem):
        return os.path.islink(path)  # noqa: PTH114 # four times as fast, and asked at each step of each file
    return (is_link_there := getattr(files, "is_link", None)) is not None and bool(is_link_there(path))


def _replace_on_disk(draft: Path, path: Path, blocks: Iterable[bytes]) -> None:
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    try:
        with draft.open("wb") as file:
            file.writelines(blocks)
            if is_fetched_from(path.parent):
                let_group_read(draft)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    # The new name lies in the folder, which has to reach the disk as well.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _replace_object(files: AbstractFileSystem, draft: str, path: str, blocks: Iterable[bytes]) -> None:
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    with files.open(draft, "wb") as file:
        file.writelines(blocks)
    move(files, draft, path)
