"""What others ask intake."""

from __future__ import annotations

from datetime import date, time

import pytest

from reku.errors import StageError
from reku.intake.registry import original, parked, processed_orders
from reku.store import tables
from tests.intake.conftest import APPROACH, BLZ, ORDER, OTHER_BLZ, Bank


def test_orders_in_force_by_occasion(bank: Bank) -> None:
    bank.control()
    bank.control(Auftrags_Nr="R2", Auftrags_Bezeichnung="B")
    bank.control(Auftrags_Nr="R3", Auftrags_Bezeichnung="C")
    bank.control(Auftrags_Nr="R3", Ereignis="ENDE")
    bank.control(Auftrags_Nr="R4", Auftrags_Bezeichnung="D")
    bank.control(Auftrags_Nr="R4", Auftrags_Bezeichnung="für")
    bank.control(Auftrags_Nr="R5", Auftrags_Bezeichnung="für")
    bank.control("VIAM")
    bank.scan()
    assert [order.order_number for order in processed_orders(bank.engine, "MCAG002")] == ["R0004711", "R2"]
    (approach,) = processed_orders(bank.engine, "MCAC120")
    assert (approach.institute, approach.order_number, approach.interface) == (BLZ, APPROACH, "IAMW")
    assert (approach.name, approach.rhythm, approach.origin) == ("Willkommen_Giro", "TAEGLICH", "BANK")
    assert (approach.valid_from, approach.valid_until, approach.expected_by) == (date(2026, 11, 6), None, time(6))
    assert processed_orders(bank.engine, "EIGEN_TREUE") == []


def test_parked_deliveries_of_all_banks_with_their_advice(bank: Bank) -> None:
    other = Bank(bank.engine, bank.root, OTHER_BLZ)
    other.delivery(1)
    other.scan()
    for number in (2, 1):
        bank.delivery(number)
        bank.scan()
    found = parked(bank.engine, "MCAG002")
    assert [(one.institute, one.order_number, one.delivery_number, one.code) for one in found] == [
        (BLZ, ORDER, 1, "STEUERUNG_FEHLT"),
        (BLZ, ORDER, 2, "STEUERUNG_FEHLT"),
        (OTHER_BLZ, ORDER, 1, "STEUERUNG_FEHLT"),
    ]
    assert all("einmal ändern" in one.advice for one in found)
    assert parked(bank.engine, "MCAC120") == []


def test_the_original_of_a_delivery(bank: Bank) -> None:
    bank.delivery()
    bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    (file,) = bank.rows(tables.files)
    assert original(bank.engine, delivery.id) == (bank.root / file.stored_as).read_bytes()
    (bank.root / file.stored_as).unlink()
    with pytest.raises(StageError, match="no longer at"):
        original(bank.engine, delivery.id)
    with pytest.raises(StageError, match="no delivery 99"):
        original(bank.engine, 99)
