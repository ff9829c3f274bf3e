"""What comes back is collected by itself: who needs it waits for a bounded time, and says how old it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation.settings import settings
from reku.process import collecting
from reku.process.answers import WaitFor
from reku.responses import bounces

NOW = datetime(2026, 11, 24, 11, tzinfo=UTC)


@pytest.fixture
def maildir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reku_settings: Path) -> Path:
    monkeypatch.setenv("REKU_BOUNCE_MAILDIR", str(tmp_path / "mail"))
    settings.cache_clear()
    for part in ("tmp", "new", "cur"):
        (tmp_path / "mail" / part).mkdir(parents=True)
    return tmp_path / "mail"


def test_without_a_return_mailbox_there_is_nothing_to_wait_for(database: sa.Engine) -> None:
    assert collecting.wait_for_return_mails(database, NOW, "the canary") is None
    assert collecting.age_of_return_mails(database) == {}


def test_mails_of_a_moment_are_waited_for_until_they_are_in(
    database: sa.Engine, maildir: Path, clock_at: Callable[[datetime], None]
) -> None:
    clock_at(NOW)
    wait = collecting.wait_for_return_mails(database, NOW, "the canary")
    assert isinstance(wait, WaitFor)
    assert (wait.deadline, wait.in_vain) == (NOW + timedelta(minutes=10), "")
    assert not collecting.is_collected(database, **wait.arguments)
    assert collecting.age_of_return_mails(database) == {"return_mails_until": "never"}
    collecting.collect_return_mails(database)
    assert collecting.is_collected(database, **wait.arguments)
    assert collecting.wait_for_return_mails(database, NOW, "the canary") is None
    assert collecting.age_of_return_mails(database) == {"return_mails_until": "24.11.2026 12:00"}
    assert collecting.wait_for_return_mails(database, NOW + timedelta(seconds=1), "the canary") is not None


def test_nobody_waits_longer_than_the_setting(
    database: sa.Engine, maildir: Path, clock_at: Callable[[datetime], None]
) -> None:
    clock_at(NOW + timedelta(minutes=10))
    assert collecting.wait_for_return_mails(database, NOW, "the canary") is None


def test_a_collection_that_leaves_mails_counts_for_nothing(
    database: sa.Engine, maildir: Path, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_at(NOW)
    for number in range(3):
        (maildir / "new" / str(number)).write_bytes(b"From: a@kunde.example\n\nHallo")
    with monkeypatch.context() as patched:
        patched.setattr(bounces.Budget, "is_used_up", lambda _: len(list((maildir / "new").iterdir())) == 3)
        collecting.collect_return_mails(database)
    assert collecting.collected_until(database) is None
    collecting.collect_return_mails(database)
    assert (collecting.collected_until(database) or datetime.min.replace(tzinfo=UTC)) >= NOW
    assert list((maildir / "new").iterdir()) == []
