"""Putting a finished file into an institute's `ausgang/`: there whole, or not there at all."""

from __future__ import annotations

from collections.abc import Iterable

from reku.foundation import storage
from reku.foundation.errors import SetupError

OUTBOX = "ausgang"


def put(institute: str, name: str, data: Iterable[bytes]) -> str:
    """Write a file, over an older one of the same name too. Returns its path below the files URL.

    Raises SetupError if the place cannot be written to, or breaks off.
    """
    path = f"{institute}/{OUTBOX}/{name}"
    files, root = storage.store()
    try:
        storage.replace_file(files, f"{root}/{path}", data)
    except OSError as error:
        reason = error.strerror or (str(error) if error.errno is None else "") or type(error).__name__
        raise SetupError(
            f"{path} cannot be written below REKU_FILES_URL: {reason}. Its number and rows are kept; the next export "
            "writes it first, with the same bytes, once the place can be written to."
        ) from error
    return path
