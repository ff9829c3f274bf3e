"""Originals of a cooperative bank's data leave when they are taken in, or 36 hours after they were not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.privacy import old_files
from reku.sources.agree21 import scan
from reku.sources.agree21.by_hand import accept
from reku.sources.inbox import set_aside
from reku.store.tables import audit
from reku_testing.world import BLZ
from tests.cli.conftest import Reku, reku
from tests.sources.agree21.conftest import NOW, CoopBank, bank, person

__all__ = ["bank", "reku"]  # fixtures

Clock = Callable[[datetime], None]
ALMOST, OVER = timedelta(hours=35, minutes=59), timedelta(hours=36, minutes=1)


def _remove(bank: CoopBank, after: timedelta) -> tuple[dict[str, int], list[str]]:
    """What housekeeping removes so long after the files have come, and what it could not."""
    done, problems = old_files.originals(bank.engine, NOW + after, settings())
    return dict(done), problems


def _refused_ones(bank: CoopBank, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """One file for each way in which an import is not taken in: its name → where it lies."""
    broken = bank.put_bytes(f"ida_kunden_{BLZ}_20261122040000.csv", "Nachname\nMüßig\n".encode("cp1252"))
    misnamed = bank.put_bytes(f"ida-kunden-{BLZ}.csv", b"Testmann")
    assert sorted(bank.verdicts()) == ["REFUSED SPALTE_FEHLT", "UNKNOWN DATEINAME"]
    in_vain = bank.put("IDA_KUNDEN", [person(1)])

    def failing(*_: Any) -> Any:
        raise OverflowError

    with monkeypatch.context() as patch:
        patch.setattr(scan, "import_file", failing)
        for _ in range(3):
            bank.take_in()
    return {name: f"fehler/{name}" for name in (broken, misnamed, in_vain)}


def test_what_was_taken_in_leaves_at_once_and_what_was_not_after_36_hours(
    bank: CoopBank, monkeypatch: pytest.MonkeyPatch, clock_at: Clock
) -> None:
    refused = _refused_ones(bank, monkeypatch)
    bank.put("IDA_KUNDEN", [person(1)], NOW + timedelta(minutes=1))
    assert bank.verdicts() == ["PROCESSED"]
    assert bank.lying() == sorted(refused.values())
    clock_at(NOW + ALMOST)
    assert _remove(bank, ALMOST) == ({}, [])
    assert bank.lying() == sorted(refused.values())
    clock_at(NOW + OVER)
    assert _remove(bank, OVER) == ({"originals": 3}, [])
    assert bank.lying() == []
    with bank.engine.connect() as connection:
        recorded = connection.execute(
            sa.select(audit.c.institute, audit.c.note).where(audit.c.subject == "files")
        ).all()
    assert recorded == [(BLZ, "3 originals erased that were not taken in")]
    assert bank.take_in().failures == []


def test_the_period_is_a_setting_and_a_wrong_one_is_told(
    bank: CoopBank, reku: Reku, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = _refused_ones(bank, monkeypatch)
    monkeypatch.setenv("REKU_KEEP_REFUSED_IMPORTS_HOURS", "72")
    settings.cache_clear()
    assert _remove(bank, OVER) == ({}, [])
    assert _remove(bank, timedelta(hours=73)) == ({"originals": len(refused)}, [])
    monkeypatch.setenv("REKU_KEEP_REFUSED_IMPORTS_HOURS", "0")
    settings.cache_clear()
    checked = reku("check")
    assert checked.exit_code != 0
    assert "REKU_KEEP_REFUSED_IMPORTS_HOURS" in checked.output


def test_a_savings_bank_has_the_longer_period(bank: CoopBank, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    refused = _refused_ones(bank, monkeypatch)
    file = tmp_path / "config" / "institutes" / f"{BLZ}.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("agree21", "osplus"), encoding="utf-8")
    assert _remove(bank, timedelta(days=29)) == ({}, [])
    file.write_text("blz: [", encoding="utf-8")
    removed, problems = _remove(bank, timedelta(days=29))
    assert (removed, len(problems), f"{BLZ}.yaml" in problems[0]) == ({}, 1, True)
    removed, problems = _remove(bank, timedelta(days=31))
    assert (removed, len(problems)) == ({"originals": len(refused)}, 1)


def test_what_nobody_knows_leaves_as_soon(bank: CoopBank) -> None:
    bank.take_in()
    for name, hours in (("alt.csv", 37), ("neu.csv", 35), ("halb.csv.tmp", 25)):
        file = bank.files / BLZ / "fehler" / name
        file.write_bytes(b"Testmann")
        put = time.time() - hours * 3600
        os.utime(file, (put, put))
    _remove(bank, timedelta(0))
    assert bank.lying() == ["fehler/neu.csv"]


def test_a_person_who_comes_too_late_is_told(bank: CoopBank, clock_at: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    bank.put("IDA_KUNDEN", [person(n) for n in range(1, 11)])
    bank.take_in()
    clock_at(NOW + timedelta(hours=1))
    bank.put("IDA_KUNDEN", [person(1)], NOW + timedelta(hours=1))
    (smaller,) = bank.take_in().outcomes
    assert smaller.code == "SCHRUMPFUNG"
    bank.put("IDA_KUNDEN", [person(n) for n in range(1, 11)], NOW + timedelta(hours=1, minutes=1))
    with monkeypatch.context() as patch:
        patch.setattr(scan, "import_file", lambda *_: 1 / 0)
        reports = [bank.take_in() for _ in range(3)]
    (in_vain,) = reports[-1].outcomes
    clock_at(NOW + timedelta(hours=38))
    assert _remove(bank, timedelta(hours=38)) == ({"originals": 2}, [])
    with pytest.raises(StageError, match=r"no longer kept.*Ask the bank to deliver again"):
        accept(bank.engine, bank.institute, smaller.file_id, actor="tester", note="die Bank bestätigt es")
    with pytest.raises(StageError, match=r"no longer at .*Ask the sender"):
        set_aside.retry(bank.engine, in_vain.file_id, actor="tester", note="mended")
