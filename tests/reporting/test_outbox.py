"""A file in the outbox is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku.reporting.outbox import put

BLZ = "99950001"


def test_on_disk(reku_settings: Path) -> None:
    assert put(BLZ, "a.csv", [b"one"]) == f"{BLZ}/ausgang/a.csv"
    put(BLZ, "a.csv", [b"two"])
    assert [(path.name, path.read_bytes()) for path in (reku_settings / BLZ / "ausgang").iterdir()] == [
        ("a.csv", b"two")
    ]


def test_no_draft_stays_behind(reku_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SetupError, match="No space left"):
        put(BLZ, "a.csv", [b"one"])
    assert list((reku_settings / BLZ / "ausgang").iterdir()) == []


def test_by_url(reku_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_FILES_URL", "memory://banks")
    settings.cache_clear()
    put(BLZ, "a.csv", [b"one"])
    files = fsspec.filesystem("memory")
    assert files.cat_file(f"/banks/{BLZ}/ausgang/a.csv") == b"one"
    assert len(files.ls(f"/banks/{BLZ}/ausgang")) == 1


@pytest.mark.parametrize("url", ["nosuch://place", "/proc/nowhere"])
def test_place_that_cannot_be_used(reku_settings: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REKU_FILES_URL", url)
    settings.cache_clear()
    with pytest.raises(SetupError, match="REKU_FILES_URL"):
        put(BLZ, "a.csv", [b"one"])
