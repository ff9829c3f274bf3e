"""Files that are tried in vain: counted, set aside after the third try, tried again or dropped by a person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation.errors import ConfigError, StageError
from reku.foundation.settings import settings
from reku.sources.inbox import filing, set_aside
from reku.sources.inbox.folders import InboxFolders
from reku.sources.osplus import delivery_files
from reku.store.tables import audit, file_tries, files
from reku_testing.by_blz import take_in
from tests.sources.conftest import BLZ, Bank


def _fail(patch: pytest.MonkeyPatch, error: BaseException, *, where: str = "_000001_") -> None:
    real = delivery_files.take

    def take(*args: Any) -> Any:
        if where in args[-1].name:
            raise error
        return real(*args)

    patch.setattr(delivery_files, "take", take)


def _set_aside(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """A delivery that was tried three times. Returns its id in `files` and its name."""
    bank.control()
    name = bank.delivery(1)
    with monkeypatch.context() as patch:
        _fail(patch, OverflowError("Jördis"))
        for _ in range(3):
            report = take_in(bank.engine, BLZ)
    (file,) = bank.rows(files, files.c.verdict == "SET_ASIDE")
    assert report.counts == {"SET_ASIDE": 1}
    return file.id, name


def test_the_third_try_in_vain_sets_a_file_aside_and_its_sender_is_told(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.control()
    name = bank.delivery(1)
    with monkeypatch.context() as patch:
        _fail(patch, OverflowError("Jördis"))
        for tries in (1, 2):
            (failure,) = take_in(bank.engine, BLZ).failures
            assert "The file waits for the next scan." in failure
            assert [row.tries for row in bank.rows(file_tries)] == [tries]
        (failure,) = take_in(bank.engine, BLZ).failures
    (file,) = bank.rows(files, files.c.verdict == "SET_ASIDE")
    assert f"reku files retry {file.id}" in failure
    assert "Jördis" not in failure + file.advice
    assert bank.verdict(name)[:2] == ("ABGELEHNT", "VERARBEITUNG")
    assert bank.names("fehler") == [name]
    assert bank.names("in_arbeit") == []
    assert bank.rows(file_tries) == []
    assert take_in(bank.engine, BLZ).failures == [], "it is told once"
    bank.delivery(1)
    bank.scan()
    assert bank.deliveries() == [(1, "REGISTERED", "")], "its number is free"


@pytest.mark.parametrize(
    "error",
    [ConfigError("broken", file="a.yaml"), ConnectionResetError("reset"), OSError(28, "No space left on device")],
    ids=lambda error: type(error).__name__,
)
def test_what_is_not_the_files_own_fault_does_not_count(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    bank.control()
    bank.delivery(1)
    with monkeypatch.context() as patch:
        _fail(patch, error)
        for _ in range(5):
            assert len(take_in(bank.engine, BLZ).failures) == 1
    bank.scan()
    assert bank.deliveries() == [(1, "REGISTERED", "")]
    assert bank.rows(file_tries) == []


class Killed(BaseException):
    """What a kill does to a process: nothing catches it."""


def test_a_file_that_ends_its_process_counts_and_the_others_get_their_turn(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.control()
    name = bank.delivery(1)
    bank.delivery(2)
    with monkeypatch.context() as patch:
        _fail(patch, Killed())
        for _ in range(3):
            with pytest.raises(Killed):
                take_in(bank.engine, BLZ)
        report = take_in(bank.engine, BLZ)
    assert report.counts == {"REGISTERED": 1, "SET_ASIDE": 1}
    (file,) = bank.rows(files, files.c.verdict == "SET_ASIDE")
    assert set_aside.NEVER_FINISHED in file.advice
    assert bank.verdict(name)[1] == "VERARBEITUNG"


def test_a_file_set_aside_is_taken_in_again_when_a_person_says_so(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id, _ = _set_aside(bank, monkeypatch)
    set_aside.retry(bank.engine, file_id, actor="jo", note="mended")
    bank.scan()
    assert bank.deliveries() == [(1, "REGISTERED", "")]
    assert bank.names("fehler") == bank.names("in_arbeit") == []
    (entry,) = bank.rows(audit)
    assert (entry.actor, entry.action, entry.subject, entry.note) == ("jo", "files retry", f"files:{file_id}", "mended")
    with pytest.raises(StageError, match=f"no file {file_id}"):
        set_aside.retry(bank.engine, file_id, actor="jo", note="again")


def test_a_file_set_aside_stays_refused_when_a_person_drops_it(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id, name = _set_aside(bank, monkeypatch)
    set_aside.drop(bank.engine, file_id, actor="jo", note="comes anew")
    assert [row.verdict for row in bank.rows(files, files.c.id == file_id)] == ["REFUSED"]
    assert bank.names("fehler") == [name]
    assert [row.action for row in bank.rows(audit)] == ["files drop"]
    with pytest.raises(StageError, match="REFUSED, not SET_ASIDE"):
        set_aside.retry(bank.engine, file_id, actor="jo", note="after all")


def test_one_whose_original_is_gone_cannot_be_tried_again(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id, name = _set_aside(bank, monkeypatch)
    bank.folder("fehler", name).unlink()
    with pytest.raises(StageError, match=r"no longer at .*Ask the sender"):
        set_aside.retry(bank.engine, file_id, actor="jo", note="mended")
    assert bank.rows(audit) == []


@pytest.mark.parametrize("said", ["retry", "drop"])
@pytest.mark.parametrize("name", ["reku_99950001_R0004711_000001_20261122021500.csv", "\udcffx.csv"])
def test_a_file_that_cannot_be_claimed_is_set_aside_where_it_lies(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, said: str, name: str
) -> None:
    bank.put(name, b"x")
    real: Callable[..., bool] = InboxFolders.claim
    with monkeypatch.context() as patch:
        patch.setattr(InboxFolders, "claim", _refusing)
        for _ in range(3):
            assert len(take_in(bank.engine, BLZ).failures) == 1
    assert InboxFolders.claim is real
    assert take_in(bank.engine, BLZ).failures == []
    (file,) = bank.rows(files)
    assert (file.verdict, bank.names("eingang")) == ("SET_ASIDE", [name])
    if said == "drop":
        set_aside.drop(bank.engine, file.id, actor="jo", note="not ours")
        assert bank.names("eingang") == []
        assert bank.scan().counts == {}
    else:
        set_aside.retry(bank.engine, file.id, actor="jo", note="permitted now")
        assert sum(bank.scan().counts.values()) == 1


def _refusing(_folders: InboxFolders, _file: object) -> bool:
    raise PermissionError(13, "Permission denied")


def test_a_look_takes_no_more_than_its_budget(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_INTAKE_FILES", "2")
    settings.cache_clear()
    for number in range(5):
        bank.put(f"{number}.txt", b"x")
    reports = [bank.scan() for _ in range(3)]
    assert [(len(report.outcomes), report.left) for report in reports] == [(2, 3), (2, 1), (1, 0)]
    assert "3 left for the next scan" in str(reports[0])
    monkeypatch.setenv("REKU_INTAKE_SECONDS", "0.000001")
    settings.cache_clear()
    bank.put("noch.txt", b"x")
    late = bank.scan()
    assert (late.outcomes, late.left) == ([], 1)
    assert bank.names("eingang") == ["noch.txt"]


def test_retention_of_a_file_set_aside_takes_its_original(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id, _ = _set_aside(bank, monkeypatch)
    with bank.engine.connect() as connection:
        file = connection.execute(sa.select(files).where(files.c.id == file_id)).one()
    assert filing.original(InboxFolders(BLZ), file)
    assert Path(file.stored_as).parts[1] == "fehler"
