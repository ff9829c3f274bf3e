"""The banks to choose from in forms. Airflow asks while it parses, so no file is read as a whole."""

from __future__ import annotations

import re
from pathlib import Path

_BEGIN = 4096
"""Bytes of a file in which its name stands."""
_NAME = re.compile(r"^name: *[\"']?(.*?)[\"']? *(?:#.*)?$", re.MULTILINE)


def bank_names(config_dir: Path | None = None) -> dict[str, str]:
    """Name of each bank by its BLZ, in the order of the BLZ; one whose name cannot be read has its BLZ as a name."""
    if config_dir is None:
        from reku.foundation.settings import settings  # 0.1 s to import, for callers that do not name a folder

        config_dir = settings().config_dir
    return {file.stem: _name_in(file) or file.stem for file in sorted((config_dir / "institutes").glob("*.yaml"))}


def _name_in(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            found = _NAME.search(stream.read(_BEGIN).decode("utf-8", errors="ignore"))
    except OSError:
        return ""
    return found[1] if found else ""
