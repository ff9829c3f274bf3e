"""Prepared files that go to the bank's own place by themselves: once, whole, and killed at every step."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue import institutes
from reku.catalogue.institute import Institute
from reku.foundation.storage import replace_file
from reku.pickup import push
from reku.pickup.push import push_files
from reku.store.tables import audit
from reku_testing.dispatching import BANK, NINE, events, states
from tests.pickup.slips import FORMATS
from tests.pickup.test_prepared import line, name, prepared, take


@pytest.fixture(autouse=True)
def now(database: sa.Engine, clock_at: Callable[..., None]) -> None:
    clock_at(NINE)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "the bank's"


@pytest.fixture
def bank(place: Path) -> Institute:
    """The bank, which wants its files at a place of its own."""
    return institutes()[BANK].model_copy(update={"outbox_url": str(place)})


def lying(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()} if place.exists() else {}


def test_they_go_there_once_and_are_taken_thereby(database: sa.Engine, bank: Institute, place: Path) -> None:
    prepared(database)
    assert push_files(database, institutes()[BANK], FORMATS) == (0, []), "people of a bank without such a place fetch"
    assert push_files(database, bank, FORMATS) == (1, [])
    found = lying(place)
    assert sorted(found) == [name(database), f"{name(database)}.ok"]
    assert (states(database), events(database)) == ({"SENT": 3}, {("SENT", ""): 3})
    assert line(database).state == "fetched"
    with database.connect() as connection:
        kept = connection.execute(sa.select(audit.c.actor, audit.c.action)).all()
    assert [tuple(row) for row in kept] == [("outbox_url", "fetch file")]
    shutil.rmtree(place)  # the bank has taken it away: it does not come again
    assert push_files(database, bank, FORMATS) == (0, [])
    assert lying(place) == {}
    assert take(database).files == found, "and somebody may still fetch it"


@pytest.mark.parametrize("files", [0, 1, 2], ids=["before it writes", "between two files", "before the commit"])
def test_killed_at_every_step_it_is_there_once(
    database: sa.Engine, bank: Institute, place: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    prepared(database)
    left = [files]

    def dies(*told: Any) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        replace_file(*told)

    def dies_after(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(push, "replace_file", dies)
        patch.setattr(push, "is_taken", dies_after)
        with pytest.raises(KeyboardInterrupt):
            push_files(database, bank, FORMATS)
    before = lying(place)
    assert len(before) == files
    assert (states(database), events(database)) == ({"PREPARED": 3}, {})
    assert push_files(database, bank, FORMATS) == (1, [])
    assert lying(place).items() >= before.items(), "the same bytes"
    assert len(lying(place)) == 2
    assert events(database) == {("SENT", ""): 3}


def test_a_place_that_cannot_be_written_to_is_told_and_nothing_is_sent(
    database: sa.Engine, bank: Institute, place: Path
) -> None:
    prepared(database)
    place.write_text("a file where a folder should be", encoding="utf-8")
    pushed, problems = push_files(database, bank, FORMATS)
    assert pushed == 0
    assert ["outbox_url: File exists" in text or "Not a directory" in text for text in problems] == [True]
    place.unlink()
    place.symlink_to(place.parent)
    assert "is a link" in push_files(database, bank, FORMATS)[1][0]
    assert states(database) == {"PREPARED": 3}
    place.unlink()
    assert push_files(database, bank, FORMATS) == (1, [])


@pytest.mark.parametrize(
    ("url", "why"), [("sftp://reku:secret@bank.example/in", "REKU_SFTP_PASSWORD"), ("ausgang", "whole path")]
)
def test_a_url_that_cannot_be_one_is_refused(url: str, why: str) -> None:
    told = institutes()[BANK].model_dump(exclude_unset=True)
    with pytest.raises(ValueError, match=why):
        Institute.model_validate(told | {"outbox_url": url})
