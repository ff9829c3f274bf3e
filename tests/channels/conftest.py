"""A configuration folder of its own, in which a test of any channel's media may break what it likes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reku.foundation.settings import INCLUDE, settings


@pytest.fixture
def config(reku_settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo institutes and the shared pieces, but no medium."""
    folder = tmp_path / "config"
    shutil.copytree(INCLUDE / "institutes", folder / "institutes")
    shutil.copytree(INCLUDE / "templates" / "shared", folder / "templates" / "shared")
    monkeypatch.setenv("REKU_CONFIG_DIR", str(folder))
    settings.cache_clear()
    return folder
