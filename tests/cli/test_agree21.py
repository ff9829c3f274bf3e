"""`reku agree21`: the keys of the vault."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from reku.foundation.settings import settings
from reku.vault import numbers
from reku_testing.world import BLZ
from tests.cli.conftest import Reku
from tests.conftest import VAULT_KEY


def test_rotate_key_says_what_may_go_and_what_is_missing(
    database: sa.Engine, reku: Reku, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.begin() as connection:
        numbers.keep(connection, BLZ, {"p1.0a": "1"}, date(2026, 11, 22))
    new = Fernet.generate_key().decode()
    monkeypatch.setenv("REKU_VAULT_KEYS", new)
    settings.cache_clear()
    lost = reku("agree21", "rotate-key")
    assert (lost.exit_code, "1 data keys need the vault key" in lost.stderr) == (1, True)
    monkeypatch.setenv("REKU_VAULT_KEYS", f"{VAULT_KEY},{new}")
    settings.cache_clear()
    done = reku("agree21", "rotate-key")
    assert done.exit_code == 0
    assert done.stdout.startswith("1 data keys wrapped anew")
    assert "take it out of REKU_VAULT_KEYS" in done.stdout


def test_a_key_that_is_none_is_named_and_not_shown(
    database: sa.Engine, reku: Reku, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REKU_VAULT_KEYS", f"{VAULT_KEY},geheim")
    settings.cache_clear()
    refused = reku("agree21", "rotate-key")
    assert refused.exit_code == 1
    assert "REKU_VAULT_KEYS" in refused.stderr
    assert "geheim" not in refused.stderr
