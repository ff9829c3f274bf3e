"""Deliveries as files (docs/domain.md, rules 1, 7, 8 and 25) and their numbers."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.store import tables
from reku_testing.steps import allow_any_step
from tests.sources.conftest import APPROACH, BLZ, NOW, ORDER, Bank, original


def _lists_untouched(bank: Bank) -> bool:
    return all(row.created_at is None for row in bank.rows(tables.lists)) and not bank.rows(tables.subscribers)


def test_a_delivery_is_registered_for_its_period(bank: Bank) -> None:
    bank.control()
    name = bank.delivery(rows=3)
    bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    assert (delivery.state, delivery.code, delivery.rows) == ("REGISTERED", "", 3)
    assert (delivery.order_id, delivery.occasion) == (bank.order().id, "MCAG002")
    assert (delivery.day, delivery.period_start) == (date(2026, 11, 22), date(2026, 11, 22))
    assert bank.folder("archiv", "2026", "11", name).is_file()
    assert original(bank.engine, delivery.id) == bank.folder("archiv", "2026", "11", name).read_bytes()
    assert not bank.folder("ausgang", f"quittung_{name}").exists(), "a good delivery needs no receipt"


def test_the_period_follows_the_berlin_date_of_the_file(bank: Bank) -> None:
    bank.control(Ausfuehrungsrhythmus="MONATLICH", Gueltig_ab="01.09.2026")
    bank.delivery(number=1, created_at=clock.at(date(2026, 10, 1)) - timedelta(minutes=1))
    bank.delivery(number=2, created_at=clock.at(date(2026, 10, 1)))
    bank.scan()
    assert [row.period_start for row in bank.rows(tables.deliveries)] == [date(2026, 9, 1), date(2026, 10, 1)]


@pytest.mark.parametrize(
    ("rhythm", "valid_from", "first_due"),
    [
        ("EINMALIG", "01.12.2026", date(2026, 12, 1)),
        ("TAEGLICH", "23.11.2026", date(2026, 11, 23)),
        ("WOECHENTLICH", "22.11.2026", date(2026, 11, 23)),  # a Sunday: due on the next bank working day
    ],
)
def test_a_delivery_made_before_the_first_due_date_fulfils_it(
    bank: Bank, rhythm: str, valid_from: str, first_due: date
) -> None:
    """Otherwise the run of that day would wait for a delivery that is there, and fail."""
    bank.control(Ausfuehrungsrhythmus=rhythm, Gueltig_ab=valid_from)
    bank.delivery(number=1)
    bank.scan()
    assert [row.period_start for row in bank.rows(tables.deliveries)] == [first_due]


def test_rule_7_an_empty_delivery_is_registered(bank: Bank) -> None:
    bank.control()
    bank.delivery(rows=0)
    bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    assert (delivery.state, delivery.rows) == ("REGISTERED", 0)


def test_rule_1_parked_before_the_control_file_and_loaded_in_number_order_after_it(
    bank: Bank, clock_at: Callable[..., None]
) -> None:
    # Told apart in time, so that the order of arrival is not that of the numbers.
    names = []
    for number in (3, 1, 2):
        names.append(bank.delivery(number))
        bank.scan()
    assert bank.deliveries() == [(number, "PARKED", "STEUERUNG_FEHLT") for number in (3, 1, 2)]
    assert bank.names("geparkt") == sorted(names)
    assert _lists_untouched(bank)
    assert bank.rows(tables.lists) == []
    for name in names:
        status, code, advice = bank.verdict(name)
        assert (status, code) == ("GEPARKT", "STEUERUNG_FEHLT")
        assert "einmal ändern" in advice
        assert "EMMA-Support" in advice
        assert "AutKA-Team" in advice

    clock_at(NOW + timedelta(days=2))
    bank.control()
    report = bank.scan()
    delivered = bank.rows(tables.deliveries)
    assert report.freed == [row.id for row in sorted(delivered, key=lambda row: row.delivery_number)]
    for row in delivered:
        assert (row.state, row.code, row.advice, row.order_id) == ("REGISTERED", "", "", bank.order().id)
        assert row.day == date(2026, 11, 24), "the run of the day on which it was set free takes it"
        assert row.period_start == date(2026, 11, 22)
    assert bank.names("geparkt") == []
    assert sorted(set(bank.names("archiv")) & set(names)) == sorted(names)
    assert _lists_untouched(bank), "the list is made when the first delivery is loaded"


def test_a_parked_delivery_knows_the_occasion_of_its_rows(bank: Bank) -> None:
    bank.delivery(1)
    bank.delivery(2, Anlass_Code="MCAG999")
    bank.delivery(3, rows=0)
    bank.scan()
    assert [row.occasion for row in bank.rows(tables.deliveries)] == ["MCAG002", "", ""]


def test_a_faulty_control_file_changes_the_reason_for_which_deliveries_are_parked(bank: Bank) -> None:
    bank.delivery(1)
    bank.scan()
    bank.control(Auftrags_Bezeichnung="für")
    second = bank.delivery(2)
    bank.scan()
    assert bank.deliveries() == [(1, "PARKED", "STEUERUNG_FEHLERHAFT"), (2, "PARKED", "STEUERUNG_FEHLERHAFT")]
    assert "ohne Umlaute" in bank.verdict(second)[2]


def test_rule_2_a_good_control_file_with_a_new_name_sets_them_free(bank: Bank) -> None:
    bank.control(Auftrags_Bezeichnung="für")
    bank.delivery(1)
    bank.scan()
    bank.control(Ereignis="AENDERUNG", Auftrags_Bezeichnung="Fuer")
    bank.delivery(2)
    bank.scan()
    assert bank.deliveries() == [(1, "REGISTERED", ""), (2, "REGISTERED", "")]
    assert bank.lists() == {"MCAG002_Fuer": False}


@pytest.mark.parametrize(
    ("origin", "team", "not_asked"), [("AUTKA", "AutKA-Team", "EMMA-S"), ("BANK", "EMMA-Support", "AutKA")]
)
def test_a_known_origin_names_the_one_team_to_ask(bank: Bank, origin: str, team: str, not_asked: str) -> None:
    bank.control(Herkunft=origin)
    bank.control(Auftrags_Bezeichnung="für")
    name = bank.delivery()
    bank.scan()
    assert bank.verdict(name)[:2] == ("GEPARKT", "STEUERUNG_FEHLERHAFT")
    assert team in bank.verdict(name)[2]
    assert not_asked not in bank.verdict(name)[2]


def test_a_reku_delivery_needs_a_vreku_and_not_a_viam(bank: Bank) -> None:
    bank.control("VIAM", Ansprache_Nr=ORDER)
    bank.delivery()
    bank.scan()
    assert bank.deliveries() == [(17, "PARKED", "STEUERUNG_FEHLT")]


def test_an_iam_delivery_is_registered(bank: Bank) -> None:
    bank.control("VIAM")
    bank.delivery(3, order=APPROACH, kind="IAMW")
    bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    assert (delivery.contract, delivery.state, delivery.occasion) == ("IAMW", "REGISTERED", "MCAC120")


@pytest.mark.parametrize("parked", [False, True])
def test_the_same_file_again_is_a_duplicate(bank: Bank, parked: bool) -> None:
    if not parked:
        bank.control()
    name = bank.delivery()
    bank.scan()
    bank.delivery()
    bank.scan()
    assert bank.verdict(name)[:2] == ("DUBLETTE", "DUBLETTE")
    assert len(bank.rows(tables.deliveries)) == 1
    verdicts = [row.verdict for row in bank.rows(tables.files, tables.files.c.kind == "REKU")]
    assert verdicts == ["PARKED" if parked else "REGISTERED", "DUPLICATE"]


def test_the_same_content_packed_anew_is_a_duplicate(bank: Bank) -> None:
    bank.control()
    name = bank.delivery()
    data = (bank.folder("eingang") / name).read_bytes()
    bank.scan()
    for packed_at in (1, 2):
        bank.put(f"{name}.gz", gzip.compress(data, mtime=packed_at))
        bank.scan()
        assert bank.verdict(f"{name}.gz")[0] == "DUBLETTE"


def test_a_packed_delivery_is_registered_and_its_packed_repetition_too(bank: Bank) -> None:
    bank.control()
    name = bank.delivery()
    data = (bank.folder("eingang") / name).read_bytes()
    (bank.folder("eingang") / name).unlink()
    bank.put(f"{name}.gz", gzip.compress(data, mtime=1))
    bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    assert (delivery.state, delivery.rows) == ("REGISTERED", 2)
    assert gzip.decompress(original(bank.engine, delivery.id)) == data
    bank.put(f"{name}.gz", gzip.compress(data, mtime=2))
    bank.scan()
    assert bank.verdict(f"{name}.gz")[0] == "DUBLETTE"


def test_another_file_under_a_taken_number_is_refused(bank: Bank) -> None:
    bank.control()
    bank.delivery(rows=2)
    bank.scan()
    name = bank.delivery(rows=3)
    bank.scan()
    assert bank.verdict(name)[:2] == ("ABGELEHNT", "NUMMER_VERGEBEN")
    assert bank.deliveries() == [(17, "REGISTERED", ""), (17, "REFUSED", "NUMMER_VERGEBEN")]
    assert bank.names("fehler") == [name]
    assert bank.folder("archiv", "2026", "11", name).is_file(), "the first one stays where it is"


def _first_letter_lower(data: bytes) -> bytes:
    return data.replace(b"Beispiel", b"beispiel", 1)


def _count_wrong(data: bytes) -> bytes:
    return data.replace(b"\r\nN;2;", b"\r\nN;3;")


def _lone_cr(data: bytes) -> bytes:
    return data.replace(b"\r\nN;", b"\rN;")


def _undecodable(data: bytes) -> bytes:
    return data.replace("ö".encode(), b"\xf6", 1)


def _of_production(data: bytes) -> bytes:
    return data.replace(b";EMMA;T\r\n", b";EMMA;P\r\n", 1)


def _other_order(data: bytes) -> bytes:
    return data.replace(b"R0004711;000017", b"R0004712;000017", 1)


DAMAGES = [
    (_first_letter_lower, "PRUEFSUMME"),
    (_count_wrong, "ANZAHL"),
    (lambda data: data + b"D;x\r\n", "NACH_SCHLUSSSATZ"),
    (_undecodable, "ZEICHENSATZ"),
    (_lone_cr, "ZEILENENDE"),
    (_of_production, "UMGEBUNG"),
    (_other_order, "WIDERSPRUCH"),
    (lambda data: data[:-80], "SCHLUSSSATZ_FEHLT"),
    (lambda data: data[: len(data) // 2], "SCHLUSSSATZ_FEHLT"),
    (lambda _: b"", "LEER"),
]


@pytest.mark.parametrize(("damage", "code"), DAMAGES)
@pytest.mark.parametrize("ordered", [True, False])
def test_rule_8_a_broken_file_is_refused_as_a_whole(
    bank: Bank, damage: Callable[[bytes], bytes], code: str, ordered: bool
) -> None:
    if ordered:
        bank.control()
    name = bank.delivery(damage=damage)
    kept = (bank.folder("eingang") / name).read_bytes()
    bank.scan()
    assert bank.verdict(name)[:2] == ("ABGELEHNT", code)
    assert bank.deliveries() == [(17, "REFUSED", code)]
    assert bank.folder("fehler", name).read_bytes() == kept
    assert _lists_untouched(bank)
    assert not bank.rows(tables.delivery_rows)


def test_a_receipt_names_line_field_and_code(bank: Bank) -> None:
    bank.control()
    name = bank.delivery(damage=_of_production)
    bank.scan()
    line = bank.receipt(name)[1]
    assert (line["Ebene"], line["Zeile"], line["Feld"], line["Fehler_Code"]) == ("SATZ", "1", "Umgebung", "UMGEBUNG")


def test_a_corrected_file_takes_the_place_of_a_refused_one(bank: Bank) -> None:
    bank.control()
    name = bank.delivery(damage=_count_wrong)
    bank.scan()
    bank.delivery()
    bank.scan()
    assert bank.deliveries() == [(17, "REFUSED", "ANZAHL"), (17, "REGISTERED", "")]
    assert bank.names("fehler") == [name]
    bank.delivery(damage=_count_wrong)
    bank.scan()
    assert bank.deliveries()[-1] == (17, "REFUSED", "ANZAHL"), "the broken one again is still broken"
    assert len(bank.names("fehler")) == 2, "a name collision never overwrites"


@pytest.mark.parametrize("state", ["VALIDATED", "RELEASED", "LOADED", "DECLINED"])
def test_a_number_stays_taken_whatever_became_of_its_delivery(bank: Bank, state: str) -> None:
    bank.control()
    bank.delivery()
    bank.scan()
    with bank.engine.begin() as connection:
        allow_any_step(connection)
        connection.execute(sa.update(tables.deliveries).values(state=state))
    name = bank.delivery(rows=1)
    bank.scan()
    assert bank.verdict(name)[1] == "NUMMER_VERGEBEN"


def test_a_number_is_free_again_after_the_gate_refused_the_delivery(bank: Bank) -> None:
    bank.control()
    bank.delivery()
    bank.scan()
    with bank.engine.begin() as connection:
        connection.execute(sa.update(tables.deliveries).values(state="REFUSED", code="FEHLERQUOTE"))
    bank.delivery(rows=1)
    bank.scan()
    assert bank.deliveries() == [(17, "REFUSED", "FEHLERQUOTE"), (17, "REGISTERED", "")]


def test_a_gap_warns_and_a_late_number_is_taken(bank: Bank) -> None:
    bank.control()
    bank.delivery(17)
    bank.scan()
    bank.delivery(20)
    bank.scan()
    bank.delivery(18)
    bank.scan()
    assert bank.deliveries() == [(17, "REGISTERED", ""), (20, "REGISTERED", "NUMMERNLUECKE"), (18, "REGISTERED", "")]
    assert "000018" in bank.rows(tables.deliveries)[1].advice


def test_deliveries_of_one_scan_are_taken_in_number_order(bank: Bank) -> None:
    bank.control()
    bank.delivery(9, created_at=NOW - timedelta(days=3))
    bank.delivery(10, created_at=NOW - timedelta(days=5))
    bank.delivery(8, created_at=NOW - timedelta(days=1))
    bank.scan()
    assert bank.deliveries() == [(8, "REGISTERED", ""), (9, "REGISTERED", ""), (10, "REGISTERED", "")]


def test_after_the_end_deliveries_are_refused(bank: Bank) -> None:
    bank.control()
    bank.control(Ereignis="ENDE")
    name = bank.delivery()
    bank.scan()
    assert bank.verdict(name)[:2] == ("ABGELEHNT", "AUFTRAG_BEENDET")
    assert bank.names("fehler") == [name]


@pytest.mark.parametrize(("last_day", "state"), [("21.11.2026", "REFUSED"), ("22.11.2026", "REGISTERED")])
def test_the_last_day_of_an_order_is_its_own(bank: Bank, last_day: str, state: str) -> None:
    bank.control(Gueltig_bis=last_day)
    bank.delivery(created_at=clock.at(date(2026, 11, 22)))
    bank.scan()
    assert bank.deliveries() == [(17, state, "AUFTRAG_BEENDET" if state == "REFUSED" else "")]


def test_parked_deliveries_of_an_order_that_is_ended_are_refused(bank: Bank) -> None:
    bank.control()
    bank.control(Auftrags_Bezeichnung="für")
    name = bank.delivery()
    bank.scan()
    assert bank.deliveries() == [(17, "PARKED", "STEUERUNG_FEHLERHAFT")]
    bank.control(Ereignis="ENDE")
    bank.scan()
    assert bank.deliveries() == [(17, "REFUSED", "AUFTRAG_BEENDET")]
    assert bank.verdict(name)[:2] == ("ABGELEHNT", "AUFTRAG_BEENDET")
    assert (bank.names("geparkt"), bank.names("fehler")[0]) == ([], name)


def test_rule_25_leading_zeros_of_order_and_bank_stay(bank: Bank) -> None:
    bank.control(Auftrags_Nr="0004711")
    name = bank.delivery(order="0004711", number=7)
    bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    assert (delivery.institute, delivery.order_number, delivery.delivery_number) == (BLZ, "0004711", 7)
    bank.delivery(order="0004711", number=7, rows=1)
    bank.scan()
    receipt = bank.folder("ausgang", f"quittung_{name}").read_text(encoding="utf-8")
    assert receipt.startswith(f"V;QUITTUNG;1;{BLZ};0004711;000007;22.11.2026 04:00:0")


def test_the_files_table_has_each_arrival_once(bank: Bank) -> None:
    bank.control()
    for _ in range(3):
        bank.delivery()
        bank.scan()
    stored = [row.stored_as for row in bank.rows(tables.files)]
    assert len(stored) == len(set(stored)) == 4
    assert all(Path(bank.root / place).is_file() for place in stored)
