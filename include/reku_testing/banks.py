"""Configuration folders of tests: the shipped contracts and media, and banks that the test describes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from reku.foundation.settings import INCLUDE, settings
from reku_testing import world


def configure(monkeypatch: pytest.MonkeyPatch, folder: Path, **changes: Any) -> Path:
    """Make `folder` the configuration, with one bank (`world.BLZ` unless told otherwise); further calls add banks."""
    if not folder.exists():
        folder.mkdir(parents=True)
        for shipped in INCLUDE.iterdir():
            if shipped.is_dir() and shipped.name != "reku" and shipped.name != "institutes":
                (folder / shipped.name).symlink_to(shipped)
        (folder / "institutes").mkdir()
    bank = {
        "blz": world.BLZ,
        "name": "Sparkasse Beispielstadt",
        "core_system": "osplus",
        "state": "NW",
        "interface_active_from": "2026-01-01",
        "sender": {
            "name": "Sparkasse Beispielstadt",
            "address": "post@sparkasse.example",
            "domains": ["sparkasse.example"],
        },
        "colours": {"primary": "#CC0000"},
        "imprint": "Sparkasse Beispielstadt, Marktplatz 1, 99999 Beispielstadt",
    } | changes
    (folder / "institutes" / f"{bank['blz']}.yaml").write_text(yaml.safe_dump(bank), encoding="utf-8")
    monkeypatch.setenv("REKU_CONFIG_DIR", str(folder))
    settings.cache_clear()
    return folder


def policy_for_doubts(folder: Path, code: str, policy: str | None) -> None:
    """Give an occasion of the configuration `folder` this policy for mails in doubt; None takes its file away."""
    shipped = INCLUDE / "occasions"
    occasions = folder / "occasions"
    if occasions.is_symlink():
        occasions.unlink()
        shutil.copytree(shipped, occasions)
    file = occasions / f"{code}.yaml"
    if policy is None:
        file.unlink()
    else:
        text = (shipped / file.name).read_text(encoding="utf-8")
        file.write_text(f"{text}in_doubt: {policy}\n", encoding="utf-8")
