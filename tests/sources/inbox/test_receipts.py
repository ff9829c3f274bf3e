"""Receipts (9.15): fixed first, then written, the same bytes each time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.records import Fault, FaultCode
from reku.sources.inbox.folders import InboxFolders
from reku.sources.inbox.receipts import Line, Status, refusal, shorten
from reku.sources.osplus import rejected
from reku.sources.osplus.rejected import receipt_for_rejects
from reku.store import tables
from tests.sources.conftest import NOW, Bank


def _gate(bank: Bank, delivery_id: int, refused: bool, rejects: list[tuple[int, str]]) -> None:
    """What the gate writes: the rejected rows, and whether the whole file is refused."""
    with bank.engine.begin() as connection:
        connection.execute(sa.delete(tables.rejects))
        for line, code in rejects:
            connection.execute(
                sa.insert(tables.rejects).values(
                    institute=bank.blz,
                    delivery_id=delivery_id,
                    line=line,
                    reference=f"R0004711-000017-{line:05d}",
                    field="EMail",
                    code=code,
                    advice="EMail ist keine gültige Adresse.",
                )
            )
        connection.execute(
            sa.update(tables.deliveries).values(
                state="REFUSED" if refused else "VALIDATED",
                code="FEHLERQUOTE" if refused else "",
                advice="6 % der Zeilen abgelehnt, erlaubt sind 5 %." if refused else "",
                rejected=len(rejects),
            )
        )


def test_rejected_rows_are_listed_by_line(bank: Bank, clock_at: Callable[..., None]) -> None:
    bank.control()
    name = bank.delivery(rows=4)
    bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    _gate(bank, delivery.id, False, [(5, "ADRESSE"), (4, "PFLICHTFELD")])
    path = receipt_for_rejects(bank.engine, delivery.id)
    assert path == f"{bank.blz}/ausgang/quittung_{name}"
    assert bank.names("archiv", "2026")[0] == name, "the original of a delivery that goes on stays where it is"
    about_file, *rows = bank.receipt(name)
    assert (about_file["Ebene"], about_file["Status"]) == ("DATEI", "OK_MIT_WARNUNG")
    assert "2 von 4" in about_file["Hinweis"]
    assert [(row["Zeile"], row["Referenz"], row["Fehler_Code"]) for row in rows] == [
        ("4", "R0004711-000017-00004", "PFLICHTFELD"),
        ("5", "R0004711-000017-00005", "ADRESSE"),
    ]
    first = (bank.root / path).read_bytes()
    clock_at(NOW + timedelta(days=1))
    receipt_for_rejects(bank.engine, delivery.id)
    assert (bank.root / path).read_bytes() == first, "byte-identical when repeated"
    (bank.root / path).unlink()
    receipt_for_rejects(bank.engine, delivery.id)
    assert (bank.root / path).read_bytes() == first, "and when the sender has fetched it"
    _gate(bank, delivery.id, False, [(4, "PFLICHTFELD")])
    receipt_for_rejects(bank.engine, delivery.id)
    assert (bank.root / path).read_bytes() != first
    assert b";23.11.2026 04:00:0" in (bank.root / path).read_bytes()


def test_a_delivery_refused_by_the_gate(bank: Bank) -> None:
    bank.control()
    name = bank.delivery()
    bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    _gate(bank, delivery.id, True, [(3, "ADRESSE")])
    receipt_for_rejects(bank.engine, delivery.id)
    assert [(row["Ebene"], row["Status"], row["Fehler_Code"]) for row in bank.receipt(name)] == [
        ("DATEI", "ABGELEHNT", "FEHLERQUOTE"),
        ("SATZ", "ABGELEHNT", "ADRESSE"),
    ]
    assert bank.names("fehler") == [name]
    assert name not in bank.names("archiv")
    (file,) = bank.rows(tables.files, tables.files.c.file_name == name)
    assert (file.verdict, file.code) == ("REFUSED", "FEHLERQUOTE")


def test_a_receipt_lists_no_more_rows_than_the_database_can_hold(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejected, "MOST_ROWS", 10)
    bank.control()
    name = bank.delivery()
    bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    _gate(bank, delivery.id, True, [(line, "ADRESSE") for line in range(3, 20)])
    receipt_for_rejects(bank.engine, delivery.id)
    about_file, *rows = bank.receipt(name)
    assert about_file["Fehler_Code"] == "FEHLERQUOTE"
    assert [row["Zeile"] for row in rows] == [str(line) for line in range(3, 13)]


def test_no_receipt_where_no_row_was_rejected(bank: Bank) -> None:
    bank.control()
    name = bank.delivery()
    bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    _gate(bank, delivery.id, False, [])
    assert receipt_for_rejects(bank.engine, delivery.id) is None
    assert not bank.folder("ausgang", f"quittung_{name}").exists()


def test_a_receipt_that_was_not_written_comes_with_the_next_scan(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    bank.control()
    name = bank.delivery()
    bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    _gate(bank, delivery.id, False, [(3, "ADRESSE")])

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(InboxFolders, "write", fail)
        with pytest.raises(OSError, match="No space"):
            receipt_for_rejects(bank.engine, delivery.id)
    bank.scan()
    assert bank.receipt(name)[1]["Fehler_Code"] == "ADRESSE"
    assert [row.moving_from for row in bank.rows(tables.files)] == [None, None]
    assert (bank.root / bank.rows(tables.files)[1].stored_as).is_file()


def test_the_receipt_of_rejects_finishes_an_open_move(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    bank.control()
    name = bank.delivery()
    with monkeypatch.context() as patch:
        patch.setattr("reku.sources.inbox.filing.finalise", lambda *_: None)
        bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    _gate(bank, delivery.id, False, [(3, "ADRESSE")])
    assert name in bank.names("in_arbeit")
    receipt_for_rejects(bank.engine, delivery.id)
    assert name not in bank.names("in_arbeit")
    assert bank.folder("archiv", "2026", "11", name).is_file()
    assert bank.receipt(name)[1]["Fehler_Code"] == "ADRESSE"


def test_an_unknown_delivery_is_an_error(bank: Bank) -> None:
    with pytest.raises(StageError, match="no delivery 7"):
        receipt_for_rejects(bank.engine, 7)


def test_no_receipt_holds_a_name_or_an_address(bank: Bank) -> None:
    bank.control()
    bank.delivery(damage=lambda data: data.replace(b"person1@", b"person1\xff@"))
    bank.delivery(18, damage=lambda data: data.replace(b"MCAG002;24", b"MCAG002;;24", 1))
    bank.scan()
    for receipt in Path(bank.folder("ausgang")).iterdir():
        text = receipt.read_text(encoding="utf-8")
        assert not any(part in text for part in ("Jördis", "Beispiel", "kunde.example", "0000000001"))


def test_advice_fits_its_column() -> None:
    assert shorten("x" * 200) == "x" * 200
    assert len(shorten("x" * 201)) == 200
    assert Line(Status.OK).cells()["Ebene"] == "DATEI"


def test_a_refusal_stands_for_the_file_and_for_each_line() -> None:
    lines = refusal([Fault(FaultCode.ANZAHL, 9, "Anzahl_D", "a"), Fault(FaultCode.PRUEFSUMME, 9, "Pruefsumme", "b")])
    assert [(line.line, line.code) for line in lines] == [(None, "ANZAHL"), (9, "ANZAHL"), (9, "PRUEFSUMME")]
    assert len(refusal([Fault(FaultCode.FORMAT, line, "x") for line in range(5000)])) == 1001
    (only,) = refusal([Fault(FaultCode.SCHNITTSTELLE_INAKTIV, advice="a")])
    assert (only.line, only.code) == (None, "SCHNITTSTELLE_INAKTIV")
