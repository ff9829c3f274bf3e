"""Scans of a cooperative bank as a whole: files tried in vain, limits of a look, nothing to do, a lost connection."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.sources.agree21 import scan
from reku.sources.inbox import set_aside
from reku.store import tables
from reku.store.locks import Lock, session_lock
from reku_testing.world import BLZ
from tests.cli.conftest import Reku, reku
from tests.sources.agree21.conftest import NOW, CoopBank, holding, person

__all__ = ["reku"]  # a fixture

SECRET = "Jördis Beispiel-Müßig"
"""What an unexpected error may quote, and nobody may be told."""


class Killed(BaseException):
    """What a kill does to a process: nothing catches it."""


def _fail(patch: pytest.MonkeyPatch, error: BaseException, *names: str) -> None:
    """Importing files of these names raises."""
    real = scan.import_file

    def importing(*args: Any) -> Any:
        if args[3] in names:
            raise error
        return real(*args)

    patch.setattr(scan, "import_file", importing)


def test_the_third_try_in_vain_sets_a_file_aside_and_the_others_are_taken_in(
    bank: CoopBank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bank.put("IDA_KUNDEN", [person(1)])
    bad = bank.put("IDA_BESTAND", [holding(1, 1)])
    with monkeypatch.context() as patch:
        _fail(patch, OverflowError(SECRET), bad)
        for tries in (1, 2):
            report = bank.take_in()
            (failure,) = report.failures
            assert "The file waits for the next scan." in failure
            assert [row["tries"] for row in bank.rows(tables.file_tries)] == [tries]
            assert [one.verdict for one in report.outcomes] == (["PROCESSED"] if tries == 1 else [])
        bank.put("IDA_BESTAND", [holding(2, 1)], NOW + timedelta(minutes=1))
        report = bank.take_in()
    (problem,) = report.problems
    (file,) = [row for row in bank.rows(tables.files) if row["verdict"] == "SET_ASIDE"]
    assert report.counts == {"PROCESSED": 1, "SET_ASIDE": 1}
    assert f"reku files retry {file['id']}" in problem
    assert SECRET not in problem + file["advice"] + caplog.text
    assert (file["file_name"], file["kind"], file["code"]) == (bad, "IDA_BESTAND", "VERARBEITUNG")
    assert "VERARBEITUNG" in bank.receipt(bad)
    assert bank.lying() == [f"fehler/{bad}"]
    assert bank.count(tables.holdings) == 1, "of the other file"
    assert bank.rows(tables.file_tries) == []
    assert bank.take_in().problems == (), "it is told once"


def test_a_file_that_ends_its_process_is_set_aside_too(bank: CoopBank, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = bank.put("IDA_KUNDEN", [person(1)])
    with monkeypatch.context() as patch:
        _fail(patch, Killed(), bad)
        for _ in range(3):
            with pytest.raises(Killed):
                bank.take_in()
        assert bank.take_in().counts == {"SET_ASIDE": 1}
    (file,) = bank.rows(tables.files)
    assert set_aside.NEVER_FINISHED in file["advice"]
    assert "VERARBEITUNG" in bank.receipt(bad)


def test_a_person_has_a_file_tried_again_or_drops_it(
    bank: CoopBank, reku: Reku, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, others = bank.put("IDA_KUNDEN", [person(1)]), bank.put("IDA_KUNDEN", [person(2)], NOW - timedelta(hours=1))
    with monkeypatch.context() as patch:
        _fail(patch, OverflowError(SECRET), people, others)
        for _ in range(3):
            bank.take_in()
    waiting = {row["file_name"]: row["id"] for row in bank.rows(tables.files)}
    assert reku("files", "list", "--verdict", "SET_ASIDE").stdout.count("Dreimal vergeblich versucht") == 2
    assert reku("files", "retry", waiting[people], "--note", "mended").exit_code == 0
    assert reku("files", "drop", waiting[others], "--note", "an older one").exit_code == 0
    assert bank.verdicts() == ["PROCESSED"]
    assert bank.lying() == [f"fehler/{others}"]
    assert {row["file_name"]: row["verdict"] for row in bank.rows(tables.files)} == {
        people: "PROCESSED",
        others: "REFUSED",
    }
    assert [row["action"] for row in bank.rows(tables.audit)] == ["files retry", "files drop"]


def test_a_file_that_waits_for_customers_may_wait_as_often_as_it_must(bank: CoopBank) -> None:
    bank.put("IDA_BESTAND", [holding(1, 1)])
    for _ in range(5):
        report = bank.take_in()
        assert (report.waiting, report.outcomes, report.failures) == (1, [], [])
    assert bank.rows(tables.file_tries) == []
    bank.put("IDA_KUNDEN", [person(1)])
    assert bank.verdicts() == ["PROCESSED", "PROCESSED"]


def test_a_file_that_waits_in_vain_for_36_hours_is_refused_and_not_kept(bank: CoopBank) -> None:
    name = bank.put("IDA_BESTAND", [holding(1, 1)])
    assert bank.take_in().waiting == 1
    file = bank.files / BLZ / "in_arbeit" / name
    for hours, verdicts in ((35.9, []), (36.1, ["REFUSED PERSON_UNBEKANNT"]), (0, [])):
        if file.exists():
            put = time.time() - hours * 3600
            os.utime(file, (put, put))
        assert bank.verdicts() == verdicts
    assert "Seit 36 Stunden fehlen die Kunden" in bank.receipt(name)
    (refused,) = bank.rows(tables.files)
    assert (refused["verdict"], refused["kind"], refused["file_name"]) == ("REFUSED", "IDA_BESTAND", name)
    assert bank.lying() == []


def test_a_look_takes_no_more_than_its_budget(bank: CoopBank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_INTAKE_FILES", "2")
    settings.cache_clear()
    for number in range(5):
        bank.put_bytes(f"{number}.txt", b"x")
    reports = [bank.take_in() for _ in range(3)]
    assert [(len(report.outcomes), report.left, report.waiting) for report in reports] == [
        (2, 3, 0),
        (2, 1, 0),
        (1, 0, 0),
    ]
    monkeypatch.setenv("REKU_INTAKE_SECONDS", "0.000001")
    settings.cache_clear()
    bank.put_bytes("noch.txt", b"x")
    late = bank.take_in()
    assert (late.outcomes, late.left) == ([], 1)


def test_an_inbox_without_anything_to_do_is_not_locked(bank: CoopBank, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bank.put("IDA_KUNDEN", [person(1)])
    bank.take_in()
    with session_lock(bank.engine, Lock.FILES, int(BLZ)):
        report = bank.take_in()
        assert (report.busy, report.outcomes, report.failures) == (False, [], [])
        assert f"intake, institute {BLZ}: nothing new" in caplog.text
        bank.put_bytes("notiz.txt", b"one")
        assert bank.take_in().busy
    assert "another scan is at work" in caplog.text


def test_addresses_whose_time_is_over_are_forgotten_though_no_file_lies_there(
    bank: CoopBank, clock_at: Callable[[datetime], None]
) -> None:
    bank.put("IDA_KUNDEN", [person(1)])
    bank.take_in()
    clock_at(datetime(2026, 11, 22, 11, 0, tzinfo=UTC))
    with session_lock(bank.engine, Lock.FILES, int(BLZ)):
        assert bank.take_in().busy
    assert bank.take_in().counts == {"addresses_forgotten": 1}
    with session_lock(bank.engine, Lock.FILES, int(BLZ)):
        assert not bank.take_in().busy, "nothing is left"


def test_links_and_folders_are_told(bank: CoopBank) -> None:
    bank.take_in()
    (bank.files / BLZ / "eingang" / "ordner").mkdir()
    assert (bank.take_in().no_files, bank.take_in().failures) == (1, [])
    (bank.files / BLZ / "in_arbeit" / "ida_kunden.csv").symlink_to("/nirgends")
    (failure,) = bank.take_in().failures
    assert "1 links or folders lie in in_arbeit/" in failure


def test_a_lost_database_connection_ends_the_scan(bank: CoopBank, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = bank.put("IDA_KUNDEN", [person(1)])
    bank.put_bytes(f"ida_kunden_{BLZ}_20261122060000.csv", b"")
    real = scan.import_file

    def importing(connection: sa.Connection, *args: Any) -> Any:
        done = real(connection, *args)
        if args[2] == bad:
            pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            with bank.engine.connect() as other:
                other.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        return done

    with monkeypatch.context() as patch:
        patch.setattr(scan, "import_file", importing)
        with pytest.raises(StageError, match="lost its database connection"):
            bank.take_in()
    assert bank.count(tables.files) == bank.count(tables.imports) == 0
    assert bank.verdicts() == ["PROCESSED", "REFUSED LEER"]
