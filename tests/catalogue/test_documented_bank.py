"""The bank's file that the documentation shows is one that can be used as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reku.catalogue.check import check_catalogue
from reku.foundation.settings import settings
from reku_testing import banks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "agree21.md"


def test_the_documented_cooperative_bank_has_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = re.search(r"### The bank's file\n.*?```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    folder = banks.configure(monkeypatch, tmp_path / "config")
    (other,) = (folder / "institutes").iterdir()
    other.unlink()
    (folder / "institutes" / "99950001.yaml").write_text(shown[1], encoding="utf-8")
    settings.cache_clear()
    assert check_catalogue(folder) == []
