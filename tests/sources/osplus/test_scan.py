"""Scans as a whole: cut off anywhere, two at once, one file's trouble, names of all kinds."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation.errors import SetupError, StageError
from reku.foundation.settings import settings
from reku.sources.inbox import filing
from reku.sources.inbox.folders import InboxFolders
from reku.sources.osplus import delivery_files
from reku.sources.osplus.intake_report import IntakeReport
from reku.store import tables
from reku.store.locks import Lock, session_lock
from reku_testing.by_blz import take_in
from tests.sources.conftest import BLZ, NOW, OTHER_BLZ, Bank


class Killed(BaseException):
    """What a kill does to a process: nothing catches it."""


@contextmanager
def _killed_at(step: int, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Die at the given step. Steps lie before each move of a file and before each commit."""
    taken = [0]

    def one_more(*_: object) -> None:
        taken[0] += 1
        if taken[0] == step:
            raise Killed

    real = InboxFolders.move

    def move(folders: InboxFolders, source: str, target: str) -> None:
        one_more()
        real(folders, source, target)

    with monkeypatch.context() as patch:
        patch.setattr(InboxFolders, "move", move)
        sa.event.listen(engine, "commit", one_more)
        try:
            yield taken
        finally:
            sa.event.remove(engine, "commit", one_more)


def _empty(bank: Bank) -> None:
    shutil.rmtree(bank.root / BLZ, ignore_errors=True)
    listed = ", ".join(f'"{table.schema}"."{table.name}"' for table in tables.metadata.sorted_tables)
    with bank.engine.begin() as connection:
        connection.execute(sa.text(f"TRUNCATE {listed} RESTART IDENTITY CASCADE"))


def _prepare(bank: Bank) -> None:
    """One delivery is parked; then come its control file, the next delivery, a broken one and an unknown file."""
    bank.made_at = NOW - timedelta(days=10)
    bank.delivery(1)
    bank.scan()
    bank.control()
    bank.delivery(2)
    bank.delivery(3, damage=lambda data: data[:-40])
    bank.put("unbekannt.txt", b"?")


def _picture(bank: Bank) -> dict[str, Any]:
    """All that a scan leaves behind, times left aside."""
    return {
        "files": sorted((row.file_name, row.verdict, row.code, row.stored_as) for row in bank.rows(tables.files)),
        "unsettled": [row.id for row in bank.rows(tables.files) if row.moving_from is not None],
        "deliveries": sorted(bank.deliveries()),
        "orders": [(row.order_number, row.name, row.faulty) for row in bank.orders()],
        "lists": [(row.name, row.frozen_at) for row in bank.rows(tables.lists)],
        "control files": [(row.order_number, row.processed) for row in bank.rows(tables.control_files)],
        "places": sorted(str(path.relative_to(bank.root)) for path in bank.root.rglob("*") if path.is_file()),
        "receipts": {
            name: [tuple(row.values()) for row in bank.receipt(name.removeprefix("quittung_"))]
            for name in bank.names("ausgang")
        },
    }


def test_a_scan_cut_off_at_any_step_is_repaired_by_the_next(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    _prepare(bank)
    with _killed_at(0, bank.engine, monkeypatch) as steps:
        bank.scan()
    expected = _picture(bank)
    assert expected["unsettled"] == []
    assert len(expected["receipts"]) == 3
    assert expected["deliveries"] == [(1, "REGISTERED", ""), (2, "REGISTERED", ""), (3, "REFUSED", "PRUEFSUMME")]
    assert steps[0] > 20
    for step in range(1, steps[0] + 1):
        _empty(bank)
        _prepare(bank)
        with pytest.raises(Killed), _killed_at(step, bank.engine, monkeypatch):
            take_in(bank.engine, BLZ)
        bank.scan()
        assert _picture(bank) == expected, f"killed at step {step}"


def test_a_repaired_receipt_is_the_one_that_was_fixed_first(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, clock_at: Callable[..., None]
) -> None:
    name = bank.delivery()
    with monkeypatch.context() as patch:
        patch.setattr(InboxFolders, "write", _raise(Killed()))
        with pytest.raises(Killed):
            take_in(bank.engine, BLZ)
    assert bank.names("ausgang") == []
    (file,) = bank.rows(tables.files)
    clock_at(NOW + timedelta(days=1))
    bank.scan()
    assert b";22.11.2026 04:00:0" in bank.folder("ausgang", f"quittung_{name}").read_bytes()
    assert bank.rows(tables.files)[0].receipt_at == file.receipt_at


def _raise(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_two_scans_at_once_register_each_file_once(bank: Bank) -> None:
    bank.control()
    for number in range(1, 9):
        bank.delivery(number, rows=1)
    start, reports = threading.Barrier(3), list[IntakeReport]()

    def scan() -> None:
        start.wait()
        reports.append(take_in(bank.engine, BLZ))

    threads = [threading.Thread(target=scan) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bank.scan()
    assert [failure for report in reports for failure in report.failures] == []
    assert sorted(row.delivery_number for row in bank.rows(tables.deliveries)) == list(range(1, 9))
    assert len(bank.rows(tables.files)) == 9
    assert len(bank.rows(tables.orders)) == len(bank.rows(tables.lists)) == 1


def test_a_scan_beside_another_does_nothing_and_says_so(bank: Bank) -> None:
    bank.delivery()
    with session_lock(bank.engine, Lock.FILES, int(BLZ)) as held:
        assert held is not None
        report = take_in(bank.engine, BLZ)
        assert report.busy
        assert "another scan" in str(report)
        other = take_in(bank.engine, OTHER_BLZ)
        assert not other.busy, "each bank has a lock of its own"
    assert len(bank.names("eingang")) == 1
    assert not take_in(bank.engine, BLZ).busy


def test_a_scan_that_was_killed_leaves_no_lock(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    bank.delivery()
    with monkeypatch.context() as patch:
        patch.setattr(filing, "record", _raise(Killed()))
        with pytest.raises(Killed):
            take_in(bank.engine, BLZ)
    assert not take_in(bank.engine, BLZ).busy


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), PermissionError(13, "Permission denied"), ValueError("Jördis Beispiel")]
)
def test_trouble_with_one_file_leaves_the_others_alone(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    bank.control()
    for number in (1, 2, 3):
        bank.delivery(number)
    real = delivery_files.take

    def take(*parts: Any) -> Any:
        if "_000002_" in parts[-1].name:
            raise error
        return real(*parts)

    with monkeypatch.context() as patch:
        patch.setattr(delivery_files, "take", take)
        report = take_in(bank.engine, BLZ)
    assert bank.deliveries() == [(1, "REGISTERED", ""), (3, "REGISTERED", "NUMMERNLUECKE")]
    (failure,) = report.failures
    assert "_000002_" in failure
    assert "next scan" in failure
    assert "Jördis" not in failure + caplog.text, "an unexpected error's text may hold anything"
    assert len(bank.names("in_arbeit")) == 1
    bank.scan()
    assert bank.deliveries()[-1] == (2, "REGISTERED", "")
    assert bank.names("in_arbeit") == bank.names("fehler") == []


def test_a_file_that_cannot_be_archived_is_archived_later(bank: Bank) -> None:
    bank.control()
    bank.scan()
    shutil.rmtree(bank.folder("archiv"))
    bank.folder("archiv").write_bytes(b"in the way")
    name = bank.delivery()
    with pytest.raises((SetupError, OSError)):
        take_in(bank.engine, BLZ)
    bank.folder("archiv").unlink()
    bank.folder("archiv").mkdir()
    bank.folder("archiv", "2026").write_bytes(b"in the way")
    report = take_in(bank.engine, BLZ)
    assert len(report.failures) == 1
    assert bank.deliveries() == [(17, "REGISTERED", "")], "registered; only the move is still to come"
    assert bank.names("in_arbeit") == [name]
    assert len(take_in(bank.engine, BLZ).failures) == 1
    bank.folder("archiv", "2026").unlink()
    bank.scan()
    assert bank.folder("archiv", "2026", "11", name).is_file()
    assert len(bank.rows(tables.deliveries)) == 1


def test_a_lost_database_connection_ends_the_scan(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2, 3):
        bank.delivery(number)
    real = delivery_files.take

    def take(connection: sa.Connection, *parts: Any) -> Any:
        done = real(connection, *parts)
        if "_000002_" in parts[-1].name:
            with bank.engine.connect() as other:
                pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
                other.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        return done

    with monkeypatch.context() as patch:
        patch.setattr(delivery_files, "take", take)
        with pytest.raises(StageError, match="lost its database connection"):
            take_in(bank.engine, BLZ)
    assert [number for number, _, _ in bank.deliveries()] == [1]
    bank.scan()
    assert sorted(number for number, _, _ in bank.deliveries()) == [1, 2, 3]


MISNAMED = [
    "reku_99950001_R0004711_000017_20261122021500.CSV",
    "reku_99950001_r0004711_000017_20261122021500.csv",
    "reku_99950001_R0004711_17_20261122021500.csv",
    "Reku_99950001_R0004711_000017_20261122021500.csv",
    "reku_99950001_R0004711_000017_20261122021500.csv.bak",
    "vreku_99950001_R0004711.csv",
    "viam_I0000815.csv",
    "iamw_9995000_I0000815_000003_20261122022000.csv",
]
"""Names that tell what the sender meant, and that a receipt may have."""
NASTY = [
    *MISNAMED,
    "reku_99950001_R0004711_000017_20261122021500.csv ",
    "reku_99950001_R0004711_000017_20261122021500.csv\n",
    "vreku_99950001_RÜCK_20261105213000.csv",
    "reku_" + "x" * 100 + ".csv",
    "rekursion.txt",
    "reku_٩٩٩٥٠٠٠١_R0004711_000017_20261122021500.csv",
    "response_99950001_000112_20261122220000.csv",
    "quittung_reku_99950001_R0004711_000018_20261123021500.csv",
    ".versteckt",
    "Jördis Beispiel-Müßig, geb. 24.11.1976.csv",
    "a*b?[c].csv",
    "zeile\numbruch\ttab.csv",
    "100%_%20_%zz.csv",
    "~root",
    "-rf",
    "..csv",
    "'; DROP TABLE files; --",
    "$(touch gefunden)",
    "\\\\server\\freigabe",
    "x" * 251 + ".csv",
    "ü" * 120,
    "😀.csv",
    "C:datei.csv",
    "s3:datei",
]


@pytest.mark.parametrize("name", NASTY)
def test_a_file_nobody_knows_goes_to_fehler_and_is_seen(
    bank: Bank, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bank.put(name, b"\x00\xff")
    bank.put("nachbar.txt", b"next to it")
    report = bank.scan()
    file = next(row for row in bank.rows(tables.files) if row.file_name != "nachbar.txt")
    assert (file.verdict, file.code) == ("UNKNOWN", "DATEINAME")
    assert file.file_name == name or len(name.encode()) > 60
    assert (bank.root / file.stored_as).read_bytes() == b"\x00\xff"
    assert Path(file.stored_as).parts[:2] == (BLZ, "fehler")
    assert bank.names("eingang") == bank.names("in_arbeit") == []
    assert bank.names("ausgang") == ([f"quittung_{name}"] if name in MISNAMED else [])
    assert name not in caplog.text
    (told,) = report.problems
    assert f"(BLZ {BLZ}): no contract knows the names of 2 files" in told
    assert f"`reku files list --institute {BLZ} --verdict UNKNOWN`" in told
    assert report.counts == {"UNKNOWN": 2}


def test_the_sender_of_a_misnamed_file_is_told_how_it_should_be_called(bank: Bank) -> None:
    name = bank.put("vreku_99950001_R0004711.csv", bank.control_bytes())
    bank.scan()
    assert bank.receipt(name) == [
        {
            "Ebene": "DATEI",
            "Status": "ABGELEHNT",
            "Zeile": "",
            "Referenz": "",
            "Feld": "",
            "Fehler_Code": "DATEINAME",
            "Hinweis": "Der Dateiname passt zu keiner vereinbarten Datei; erwartet wie "
            "vreku_99950001_R0004711_20261105213000.csv. Mit richtigem Namen neu liefern.",
        }
    ]
    assert bank.rows(tables.orders) == []


def test_an_inbox_without_anything_to_do_is_not_locked(bank: Bank) -> None:
    bank.control()
    bank.scan()
    bank.put("halb.csv.tmp", b"")
    bank.folder("eingang", "ordner").mkdir()
    with session_lock(bank.engine, Lock.FILES, int(BLZ)):
        report = take_in(bank.engine, BLZ)
        assert (report.busy, report.no_files, report.outcomes, report.failures) == (False, 1, [], [])
        bank.put("notiz.txt", b"one")
        assert take_in(bank.engine, BLZ).busy


@pytest.mark.parametrize("left", ["a parked delivery", "a file to be moved"])
def test_what_an_earlier_scan_has_left_is_looked_at_though_the_inbox_is_empty(bank: Bank, left: str) -> None:
    bank.delivery()
    bank.scan()
    if left == "a file to be moved":
        with bank.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM reku.deliveries"))
            connection.execute(sa.text("UPDATE reku.files SET moving_from = stored_as"))
    with session_lock(bank.engine, Lock.FILES, int(BLZ)):
        assert take_in(bank.engine, BLZ).busy
    assert not take_in(bank.engine, BLZ).failures
    assert [row.moving_from for row in bank.rows(tables.files)] == [None]


def test_a_name_that_is_no_text_is_taken_too(bank: Bank) -> None:
    bank.put(os.fsdecode(b"\xff\xfe.csv"), b"")
    bank.scan()
    (file,) = bank.rows(tables.files)
    assert file.file_name == "\\udcff\\udcfe.csv"
    assert (bank.root / file.stored_as).is_file()


def test_the_same_unknown_name_twice_overwrites_nothing(bank: Bank) -> None:
    for content in (b"one", b"two"):
        bank.put("notiz.txt", content)
        bank.scan()
    assert {(bank.root / row.stored_as).read_bytes() for row in bank.rows(tables.files)} == {b"one", b"two"}


def test_what_is_no_file_is_left_alone_and_counted(bank: Bank, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    bank.folder("eingang", "ordner").mkdir(parents=True)
    bank.folder("eingang", "reku_99950001_R0004711_000017_20261122021500.csv").symlink_to(secret)
    report = bank.scan()
    assert report.no_files == 2
    assert bank.rows(tables.files) == []
    assert secret.read_bytes() == b"secret"


def test_a_folder_named_like_a_marker_vouches_for_nothing(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_FILE_SETTLE_SECONDS", "3600")
    settings.cache_clear()
    name = bank.delivery()
    bank.folder("eingang", f"{name}.ok").mkdir()
    report = take_in(bank.engine, BLZ)
    assert (report.failures, report.no_files, report.waiting) == ([], 1, 1)
    bank.folder("eingang", f"{name}.ok").rmdir()
    bank.put(f"{name}.ok", b"")
    report = take_in(bank.engine, BLZ)
    assert (report.failures, len(report.outcomes)) == ([], 1)


def test_what_is_no_file_at_work_is_told(bank: Bank, tmp_path: Path) -> None:
    """A file that was swapped for a link while it was claimed."""
    bank.scan()
    bank.folder("in_arbeit", "reku_99950001_R0004711_000017_20261122021500.csv").symlink_to(tmp_path / "secret")
    (failure,) = take_in(bank.engine, BLZ).failures
    assert "1 links or folders lie in in_arbeit/" in failure


def test_an_inbox_that_is_a_link_reaches_no_other_bank(bank: Bank) -> None:
    other = Bank(bank.engine, bank.root, OTHER_BLZ)
    other.folder("archiv").mkdir(parents=True)
    (other.folder("archiv") / "alt.csv").write_bytes(b"theirs")
    bank.folder().mkdir()
    bank.folder("eingang").symlink_to(other.folder("archiv"))
    with pytest.raises(SetupError, match="99950001/eingang below REKU_FILES_URL is a link"):
        take_in(bank.engine, BLZ)
    assert take_in(bank.engine, OTHER_BLZ).failures == []
    assert other.names("archiv") == ["alt.csv"]
    assert bank.rows(tables.files) == []


def test_a_refused_control_file_is_a_problem_once(bank: Bank) -> None:
    bank.control(Auftrags_Bezeichnung="für")
    (told,) = bank.scan().problems
    assert f"vreku_{BLZ}_R0004711_" in told
    assert "NAME_UMLAUT" in told
    assert bank.scan().problems == ()


def test_the_settle_time_of_a_bank_wins(bank: Bank, config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_FILE_SETTLE_SECONDS", "3600")
    settings.cache_clear()
    bank.delivery()
    assert take_in(bank.engine, BLZ).waiting == 1
    file = config_dir / "institutes" / f"{BLZ}.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "file_settle: 0s\n", encoding="utf-8")
    try:
        report = take_in(bank.engine, BLZ)
    finally:
        file.write_text(text, encoding="utf-8")
    assert (report.waiting, len(report.outcomes)) == (0, 1)


def test_no_log_line_holds_people(bank: Bank, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bank.control()
    bank.delivery()
    bank.delivery(18, damage=lambda data: data.replace("Jördis".encode(), b"J\xf6rdis"))
    bank.scan()
    assert caplog.text
    assert not any(part in caplog.text for part in ("rdis", "kunde.example", "0000000001"))
