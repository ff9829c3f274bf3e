"""What many tests need: a real PostgreSQL with our schema, settings of their own, a clock that can be moved."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from reku.catalogue import loader
from reku.foundation import clock, tokens
from reku.foundation.settings import settings

if TYPE_CHECKING:  # what has to do with the database takes seconds to import, and many a run needs none
    import sqlalchemy as sa

    from reku.runtime.postgres import Postgres

for name in [name for name in os.environ if name.startswith(("REKU_", "AIRFLOW"))]:
    del os.environ[name]  # a test must not see the settings of whoever starts it

loader.LOOK_EVERY = 0.0  # a test that edits a file of the catalogue shall not wait until it is noticed

# How long an example takes says something of the machine, nothing of us.
hypothesis_settings.register_profile("reku", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("reku")

PROJECT = Path(__file__).resolve().parent.parent


OLDER_KEY = "an older key of tests as long as one has to be"
NEWER_KEY = "a newer key of tests as long as one has to be"
VAULT_KEY = "a" * 43 + "="


def _forget_settings() -> None:
    settings.cache_clear()
    tokens._hashed_keys.cache_clear()


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> Iterator[sa.Engine]:
    """One database with our schema for each worker; tests get it empty through `database`."""
    import sqlalchemy as sa

    from reku_testing.postgres import copy_template

    name = f"reku_tests_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    copy_template(postgres, name)
    engine = sa.create_engine(postgres.url(name))
    yield engine
    engine.dispose()


@pytest.fixture
def reku_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Settings of a test: keys, and a folder of files of its own. Yields the files folder."""
    files = tmp_path / "files"
    files.mkdir()
    monkeypatch.setenv("REKU_FILES_URL", str(files))
    monkeypatch.setenv("REKU_SECRET_KEY", "a key of tests, as long as one has to be")
    monkeypatch.setenv("REKU_TOKEN_KEYS", f"{OLDER_KEY},{NEWER_KEY}")
    monkeypatch.setenv("REKU_PSEUDONYM_KEYS", "a key of pseudonyms as long as one has to be")
    monkeypatch.setenv("REKU_VAULT_KEYS", VAULT_KEY)
    monkeypatch.setenv("REKU_SMTP_TLS", "false")
    monkeypatch.setenv("REKU_FILE_SETTLE_SECONDS", "0")
    monkeypatch.setenv("REKU_JOURNAL_DIR", str(tmp_path / "journal"))
    monkeypatch.setenv("REKU_TRACKER_DIR", str(tmp_path / "tracker"))
    monkeypatch.setenv("REKU_REPORTS_DIR", str(tmp_path / "reports"))
    _forget_settings()
    yield files
    _forget_settings()


@pytest.fixture
def database(migrated: sa.Engine, reku_settings: Path, monkeypatch: pytest.MonkeyPatch) -> sa.Engine:
    """Our schema, empty, in a real PostgreSQL; `REKU_DATABASE_URL` points to it."""
    from reku_testing.postgres import empty

    empty(migrated)
    monkeypatch.setenv("REKU_DATABASE_URL", migrated.url.render_as_string(hide_password=False))
    _forget_settings()
    return migrated


@pytest.fixture
def clock_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[datetime], None]:
    """Move the clock of this test and of every process it starts."""
    file = tmp_path / "clock.json"
    monkeypatch.setenv(clock.CLOCK_FILE_VARIABLE, str(file))

    def move(shown: datetime) -> None:
        clock.move(file, shown)

    return move
