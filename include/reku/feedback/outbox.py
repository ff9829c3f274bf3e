"""Putting a finished file into an institute's `ausgang/`: there whole, or not there at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from reku.errors import SetupError
from reku.settings import required

OUTBOX = "ausgang"


def put(institute: str, name: str, data: Iterable[bytes]) -> str:
    """Write a file under a draft's name and rename it, over an older one of the same name too.

    Returns its path below the files URL. Raises SetupError if the place cannot be written to.
    """
    url = required("files_url")
    path = f"{institute}/{OUTBOX}/{name}"
    # Two writers may be finishing the same file: each has a draft of its own, and readers take no *.tmp.
    draft = f"{path}.{uuid.uuid4().hex}.tmp"
    try:
        files, root = url_to_fs(url)
        if isinstance(files, LocalFileSystem):
            _put_on_disk(Path(root, draft), Path(root, path), data)
        else:
            files.makedirs(f"{root}/{institute}/{OUTBOX}", exist_ok=True)
            with files.open(f"{root}/{draft}", "wb") as file:
                file.writelines(data)
            files.mv(f"{root}/{draft}", f"{root}/{path}")
    except (OSError, ImportError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SetupError(
            f"{path} cannot be written below REKU_FILES_URL: {reason}. Its number and rows are kept; the next export "
            "writes it first, with the same bytes, once the place can be written to."
        ) from error
    return path


def _put_on_disk(draft: Path, path: Path, data: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with draft.open("wb") as file:
            file.writelines(data)
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
