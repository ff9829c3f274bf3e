"""Control files (docs/domain.md, rules 2 to 6)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.settings import settings
from reku.store import tables
from tests.sources.conftest import APPROACH, BLZ, NOW, ORDER, OTHER_BLZ, Bank


def _receipt_codes(bank: Bank, name: str) -> list[tuple[str, str, str]]:
    return [(row["Ebene"], row["Feld"], row["Fehler_Code"]) for row in bank.receipt(name)]


def test_a_new_order_reserves_its_list_and_is_answered_with_ok(bank: Bank) -> None:
    name = bank.control(Werbemittel="SCOM_GEBURTSTAG", Erwartet_bis="05:30")
    report = bank.scan()
    assert [(one.verdict, one.code) for one in report.outcomes] == [("PROCESSED", "")]
    order = bank.order()
    assert (order.interface, order.occasion, order.rhythm, order.origin) == ("REKU", "MCAG002", "TAEGLICH", "BANK")
    assert (order.valid_from, order.valid_until, f"{order.expected_by:%H:%M}") == (date(2026, 11, 6), None, "05:30")
    (reserved,) = bank.rows(tables.lists)
    assert reserved.name == "MCAG002_Geburtstag_rund_2026"
    assert reserved.created_at is None
    assert reserved.frozen_at is None
    assert bank.verdict(name) == ("OK", "", "")
    assert bank.names("eingang") == bank.names("in_arbeit") == []
    assert bank.folder("archiv", "2026", "11", name).is_file()


def test_the_expected_time_defaults_to_six(bank: Bank) -> None:
    bank.control()
    bank.scan()
    assert f"{bank.order().expected_by:%H:%M}" == "06:00"


def test_rule_3_the_same_control_file_twice_makes_one_list(bank: Bank) -> None:
    data = bank.control_bytes()
    name = "vreku_99950001_R0004711_20261112040000.csv"
    for expected in ("OK", "DUBLETTE"):
        bank.put(name, data)
        bank.scan()
        assert bank.verdict(name)[0] == expected
    assert len(bank.rows(tables.lists)) == 1
    assert len(bank.rows(tables.control_files)) == 1
    assert len(bank.rows(tables.files)) == 2
    assert len(bank.names("archiv")) == 2


def test_equal_content_made_later_is_a_duplicate_that_counts_as_newest(bank: Bank) -> None:
    bank.control()
    later = bank.control()
    bank.scan()
    assert bank.verdict(later)[:2] == ("DUBLETTE", "DUBLETTE")
    assert bank.order().control_created_at == bank.made_at
    assert len(bank.rows(tables.lists)) == 1


def test_rule_4_a_rename_makes_a_second_list_and_freezes_the_first(bank: Bank) -> None:
    bank.control()
    renamed = bank.control(Ereignis="AENDERUNG", Auftrags_Bezeichnung="Runde_Feste")
    bank.scan()
    assert bank.verdict(renamed)[0] == "OK"
    assert bank.lists() == {"MCAG002_Geburtstag_rund_2026": True, "MCAG002_Runde_Feste": False}
    assert bank.order().name == "Runde_Feste"


def test_renaming_back_thaws_the_earlier_list(bank: Bank) -> None:
    for name in ("Erster", "Zweiter", "Erster"):
        bank.control(Ereignis="AENDERUNG", Auftrags_Bezeichnung=name)
        bank.scan()
    assert bank.lists() == {"MCAG002_Erster": False, "MCAG002_Zweiter": True}


@pytest.mark.parametrize(
    ("name", "named", "unnamed"),
    [
        ("Geburtstag für alle", ["Umlaute (ü)", "Leerzeichen"], []),
        ("Geburtstag_für_ältere", ["Umlaute (üä)"], ["Leerzeichen"]),
        ("Geburtstag alle", ["Leerzeichen"], ["Umlaute"]),
        ("Grüße", ["Umlaute (üß)"], ["Leerzeichen"]),
        (" Geburtstag", ["Leerzeichen"], ["Umlaute"]),
        ("Geburtstag!", ["unerlaubte Zeichen (!)"], ["Umlaute", "Leerzeichen"]),
        ("Geburtstag\N{NO-BREAK SPACE}alle", ["Leerzeichen"], ["Umlaute"]),
        ("Fête", ["unerlaubte Zeichen (ê)"], ["Umlaute"]),
    ],
)
def test_rule_5_umlauts_and_blanks_in_the_name_are_named(
    bank: Bank, name: str, named: list[str], unnamed: list[str]
) -> None:
    file = bank.control(Auftrags_Bezeichnung=name)
    bank.scan()
    status, code, advice = bank.verdict(file)
    assert (status, code) == ("ABGELEHNT", "NAME_UMLAUT")
    assert all(part in advice for part in named)
    assert not any(part in advice.split(". Erlaubt")[0] for part in unnamed)
    assert bank.rows(tables.orders) == bank.rows(tables.lists) == []
    assert bank.names("fehler") == [file]


def _fill_lists(bank: Bank, count: int) -> None:
    """Lists of another order: two frozen ones (one of them linked in a campaign), the rest in use."""
    bank.control(Auftrags_Nr="R0000001", Auftrags_Bezeichnung="Fremd")
    bank.scan()
    other = bank.order("R0000001").id
    extra = [
        {
            "institute": BLZ,
            "order_id": other,
            "order_name": f"N{number}",
            "name": {0: "Liste_verknuepft", 1: "Liste_alt"}.get(number, f"Liste_{number}"),
            "reserved_at": NOW,
            "frozen_at": NOW if number < 2 else None,
        }
        for number in range(count - 1)
    ]
    with bank.engine.begin() as connection:
        connection.execute(sa.insert(tables.lists), extra)


def test_rule_6_the_150th_list_is_the_last(bank: Bank) -> None:
    _fill_lists(bank, 149)
    last = bank.control()
    over = bank.control(Auftrags_Nr="R0004712", Auftrags_Bezeichnung="Einer_zu_viel")
    bank.scan()
    assert bank.verdict(last)[0] == "OK"
    status, code, advice = bank.verdict(over)
    assert (status, code) == ("ABGELEHNT", "LISTENLIMIT")
    assert "150" in advice
    assert "Liste_alt" in advice, "names what may be deleted"
    assert "Liste_verknuepft" not in advice, "a list linked in a campaign cannot be deleted"
    assert len(bank.rows(tables.lists)) == 150
    assert bank.rows(tables.orders, tables.orders.c.order_number == "R0004712") == [], "nothing half done"


def test_a_rename_at_the_limit_leaves_the_order_as_it_was(bank: Bank) -> None:
    _fill_lists(bank, 149)
    bank.control()
    bank.scan()
    renamed = bank.control(Ereignis="AENDERUNG", Auftrags_Bezeichnung="Anders", Ausfuehrungsrhythmus="MONATLICH")
    bank.scan()
    assert bank.verdict(renamed)[1] == "LISTENLIMIT"
    order = bank.order()
    assert (order.name, order.rhythm, order.faulty) == ("Geburtstag_rund_2026", "TAEGLICH", True)
    assert bank.lists() == {"MCAG002_Geburtstag_rund_2026": False}, "not frozen for a list that does not come"


def test_renaming_back_needs_no_place(bank: Bank) -> None:
    _fill_lists(bank, 148)
    for name in ("Erster", "Zweiter"):
        bank.control(Auftrags_Bezeichnung=name)
    bank.scan()
    back = bank.control(Auftrags_Bezeichnung="Erster")
    bank.scan()
    assert bank.verdict(back)[0] == "OK"
    assert bank.lists() == {"MCAG002_Erster": False, "MCAG002_Zweiter": True}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # (order, name, Listen_Name) twice, and the second one's list
        (("R1", "A", "Liste"), ("R2", "B", "Liste"), "Liste_R2"),
        (("R1", "A", "Liste"), ("R1", "B", "Liste"), "Liste_B"),
        (("R1", "A", ""), ("R2", "A", ""), "MCAG002_A_R2"),
        (("R1", "A", "Liste"), ("R2", "B", "Andere"), "Andere"),
    ],
)
def test_a_taken_list_name_gets_the_number_or_the_name_appended(
    bank: Bank, first: tuple[str, str, str], second: tuple[str, str, str], expected: str
) -> None:
    for number, name, list_name in (first, second):
        bank.control(Auftrags_Nr=number, Auftrags_Bezeichnung=name, Listen_Name=list_name)
    bank.scan()
    assert bank.rows(tables.lists)[-1].name == expected


def test_a_list_name_taken_twice_gets_both_appended(bank: Bank) -> None:
    bank.control(Auftrags_Nr="R1", Auftrags_Bezeichnung="A", Listen_Name="Liste")
    bank.control(Auftrags_Nr="R2", Auftrags_Bezeichnung="B", Listen_Name="Liste")
    bank.control(Auftrags_Nr="R2", Auftrags_Bezeichnung="C", Listen_Name="Liste")
    bank.scan()
    assert [row.name for row in bank.rows(tables.lists)] == ["Liste", "Liste_R2", "Liste_R2_C"]


def test_a_list_keeps_its_name_when_another_is_asked_for(bank: Bank) -> None:
    bank.control()
    other = bank.control(Ereignis="AENDERUNG", Listen_Name="Neuer_Name", Ausfuehrungsrhythmus="MONATLICH")
    bank.scan()
    assert bank.verdict(other)[:2] == ("OK_MIT_WARNUNG", "LISTENNAME")
    assert list(bank.lists()) == ["MCAG002_Geburtstag_rund_2026"]
    assert bank.order().rhythm == "MONATLICH"


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"Anlass_Code": "MCAG003"}, "Anlass_Code", "ANLASS_UNBEKANNT"),  # standard, but not in this catalogue
        ({"Anlass_Code": "XYZ"}, "Anlass_Code", "ANLASS_UNBEKANNT"),
        ({"Ausfuehrungsrhythmus": "STUENDLICH"}, "Ausfuehrungsrhythmus", None),
        ({"Vertriebsweg": "BRIEF"}, "Vertriebsweg", None),
        ({"Gueltig_ab": "31.02.2026"}, "Gueltig_ab", "FORMAT"),
        ({"Gueltig_bis": "05.11.2026"}, "Gueltig_bis", None),
        ({"Response_Umfang": "VERS+TANZ"}, "Response_Umfang", None),
        ({"Erwartet_bis": "24:00"}, "Erwartet_bis", "FORMAT"),
        ({"BLZ": OTHER_BLZ}, "BLZ", "WIDERSPRUCH"),
        ({"Auftrags_Bezeichnung": ""}, "Auftrags_Bezeichnung", "PFLICHTFELD"),
    ],
)
def test_a_fault_in_a_row_refuses_the_whole_file(
    bank: Bank, changes: dict[str, str], field: str, code: str | None
) -> None:
    name = bank.control(**changes)
    bank.scan()
    faults = [row for row in bank.receipt(name) if row["Ebene"] == "SATZ"]
    assert [(row["Zeile"], row["Feld"]) for row in faults] == [("3", field)]
    assert code is None or faults[0]["Fehler_Code"] == code
    assert faults[0]["Hinweis"]
    assert bank.rows(tables.orders) == bank.rows(tables.lists) == []
    (noted,) = bank.rows(tables.control_files)
    assert (noted.processed, noted.order_number) == (False, ORDER)


def test_one_faulty_row_of_several_undoes_the_good_ones(bank: Bank) -> None:
    good = dict(_fields(bank))
    bad = good | {"Anlass_Code": "MCAC120", "Ereignis": "AENDERUNG"}  # good by itself, but not after the first
    data = bank.bytes_of("VREKU", ORDER, "0", bank.made_at, [good, bad])
    name = bank.put("vreku_99950001_R0004711_20261112040000.csv", data)
    bank.scan()
    assert bank.verdict(name)[:2] == ("ABGELEHNT", "ANLASS_ABWEICHEND")
    assert bank.rows(tables.orders) == bank.rows(tables.lists) == []


def _fields(bank: Bank) -> dict[str, str]:
    lines = bank.control_bytes().decode().split("\r\n")
    return dict(zip(lines[1].split(";")[1:], lines[2].split(";")[1:], strict=True))


def test_a_control_file_without_rows_is_refused(bank: Bank) -> None:
    data = bank.bytes_of("VREKU", ORDER, "0", bank.made_at, [], list(_fields(bank)))
    name = bank.put("vreku_99950001_R0004711_20261112040000.csv", data)
    bank.scan()
    assert bank.verdict(name)[:2] == ("ABGELEHNT", "ANZAHL")


def test_a_suggestion_is_made_for_an_unknown_occasion(bank: Bank) -> None:
    name = bank.control(Anlass_Code="MCAG020")
    bank.scan()
    assert "MCAG002" in bank.verdict(name)[2]


@pytest.mark.parametrize("minutes", [-1, 0])
def test_the_interface_must_be_active_when_the_file_was_made(bank: Bank, minutes: int) -> None:
    switched_on = clock.at(date(2026, 11, 1))
    name = bank.control(created_at=switched_on + timedelta(minutes=minutes))
    bank.scan()
    if minutes < 0:
        assert bank.verdict(name)[:2] == ("ABGELEHNT", "SCHNITTSTELLE_INAKTIV")
        assert "01.11.2026" in bank.verdict(name)[2]
    else:
        assert bank.verdict(name)[0] == "OK"


def test_a_bank_whose_interface_was_never_switched_on(bank: Bank) -> None:
    other = Bank(bank.engine, bank.root, OTHER_BLZ)
    name = other.control()
    other.scan()
    assert other.verdict(name)[1] == "SCHNITTSTELLE_INAKTIV"


def test_a_changed_name_cures_after_the_interface_was_switched_on(bank: Bank) -> None:
    """The first control file came too early; the name is changed once and comes as AENDERUNG."""
    bank.control(created_at=clock.at(date(2026, 10, 30)))
    bank.scan()
    cure = bank.control(created_at=NOW, Ereignis="AENDERUNG", Auftrags_Bezeichnung="Neuer_Name")
    bank.scan()
    assert bank.verdict(cure)[0] == "OK"
    assert bank.lists() == {"MCAG002_Neuer_Name": False}


def test_a_changed_occasion_is_refused_and_the_order_is_faulty(bank: Bank) -> None:
    bank.control()
    changed = bank.control(Ereignis="AENDERUNG", Anlass_Code="MCAC120")
    bank.scan()
    assert bank.verdict(changed)[:2] == ("ABGELEHNT", "ANLASS_ABWEICHEND")
    assert (bank.order().occasion, bank.order().faulty) == ("MCAG002", True)


def test_rule_2_a_later_good_control_file_cures(bank: Bank) -> None:
    bank.control()
    bank.control(Ereignis="AENDERUNG", Auftrags_Bezeichnung="Geburtstag für alle")
    bank.scan()
    assert bank.order().faulty
    good = bank.control(Ereignis="AENDERUNG", Auftrags_Bezeichnung="Geburtstag_fuer_alle")
    bank.scan()
    assert bank.verdict(good)[0] == "OK"
    assert not bank.order().faulty
    assert bank.lists() == {"MCAG002_Geburtstag_rund_2026": True, "MCAG002_Geburtstag_fuer_alle": False}


def test_a_later_file_of_the_old_content_cures_and_is_no_duplicate(bank: Bank) -> None:
    bank.control()
    bank.control(Auftrags_Bezeichnung="für")
    bank.scan()
    again = bank.control()
    bank.scan()
    assert bank.verdict(again)[0] == "OK"
    assert not bank.order().faulty


def test_an_older_file_that_arrives_later_changes_nothing(bank: Bank) -> None:
    bank.control(created_at=NOW, Auftrags_Bezeichnung="Neu")
    bank.scan()
    late = bank.control(created_at=NOW - timedelta(days=1), Auftrags_Bezeichnung="Alt")
    bank.scan()
    assert bank.verdict(late)[:2] == ("DUBLETTE", "DUBLETTE")
    assert bank.order().name == "Neu"
    assert len(bank.rows(tables.lists)) == 1


def test_an_older_faulty_file_that_arrives_later_leaves_the_order_good(bank: Bank) -> None:
    bank.control(created_at=NOW)
    bank.scan()
    late = bank.control(created_at=NOW - timedelta(days=1), Auftrags_Bezeichnung="für")
    bank.scan()
    assert bank.verdict(late)[0] == "ABGELEHNT"
    assert not bank.order().faulty


def test_files_of_one_scan_are_taken_by_their_moment_and_not_by_their_name(bank: Bank) -> None:
    first, last = NOW - timedelta(days=2), NOW - timedelta(days=1)
    bank.put("vreku_99950001_R0004711_20991231000000.csv", bank.control_bytes("VREKU", first, Auftrags_Bezeichnung="A"))
    bank.put("vreku_99950001_R0004711_20000101000000.csv", bank.control_bytes("VREKU", last, Auftrags_Bezeichnung="B"))
    bank.scan()
    assert bank.lists() == {"MCAG002_A": True, "MCAG002_B": False}


def test_the_end_and_a_new_beginning(bank: Bank) -> None:
    bank.control()
    end = bank.control(Ereignis="ENDE")
    bank.scan()
    assert bank.verdict(end)[0] == "OK"
    assert bank.order().ended
    again = bank.control(Ereignis="ENDE")
    bank.scan()
    assert bank.verdict(again)[0] == "DUBLETTE"
    bank.control()
    bank.scan()
    assert not bank.order().ended


def test_the_end_of_an_unknown_order_is_refused(bank: Bank) -> None:
    name = bank.control(Ereignis="ENDE")
    bank.scan()
    assert bank.verdict(name)[:2] == ("ABGELEHNT", "AUFTRAG_UNBEKANNT")


def test_an_end_goes_through_when_its_occasion_has_left_the_catalogue(bank: Bank) -> None:
    bank.control()
    bank.scan()
    with bank.engine.begin() as connection:
        connection.execute(sa.update(tables.orders).values(occasion="MCAG003"))
    name = bank.control(Ereignis="ENDE", Anlass_Code="MCAG003")
    bank.scan()
    assert bank.verdict(name)[0] == "OK"


def test_viam_once_forces_the_rhythm(bank: Bank) -> None:
    bank.control("VIAM", Ausfuehrung="EINMALIG", Ausfuehrungsrhythmus="WOECHENTLICH")
    bank.scan()
    order = bank.order(APPROACH)
    assert (order.interface, order.rhythm, order.occasion) == ("IAMW", "EINMALIG", "MCAC120")
    assert list(bank.lists(APPROACH)) == ["IAM_I0000815_Willkommen_Giro"]


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("INDIVIDUAL", "EIGEN_TREUE", ""),
        ("INDIVIDUAL", "MCAC120", ""),
        ("INDIVIDUAL", "EIGEN_FREMD", "ANLASS_UNBEKANNT"),
        ("INDIVIDUAL", "", "PFLICHTFELD"),
        ("STANDARD", "EIGEN_TREUE", "ANLASS_UNBEKANNT"),
        ("STANDARD", "", "PFLICHTFELD"),
        ("STANDARD", "MCAC120", ""),
    ],
)
def test_viam_individual_may_carry_a_known_occasion_of_the_banks_own(
    bank: Bank, kind: str, code: str, expected: str
) -> None:
    name = bank.control("VIAM", Ansprache_Typ=kind, Anlass_Code=code)
    bank.scan()
    assert bank.verdict(name)[1] == expected
    assert len(bank.rows(tables.orders)) == (0 if expected else 1)


def test_a_number_belongs_to_one_interface(bank: Bank) -> None:
    bank.control()
    other = bank.control("VIAM", Ansprache_Nr=ORDER)
    bank.scan()
    assert bank.verdict(other)[:2] == ("ABGELEHNT", "WIDERSPRUCH")


def test_origin_is_kept_when_a_later_file_does_not_tell_it(bank: Bank) -> None:
    bank.control(Herkunft="AUTKA")
    bank.control(Ereignis="AENDERUNG", Ausfuehrungsrhythmus="MONATLICH")
    bank.scan()
    assert (bank.order().origin, bank.order().rhythm) == ("AUTKA", "MONATLICH")


def test_an_unsuitable_medium_only_warns(bank: Bank) -> None:
    name = bank.control(Werbemittel="LBS_GEBURTSTAG")
    bank.scan()
    assert bank.verdict(name)[:2] == ("OK_MIT_WARNUNG", "WERBEMITTEL")
    assert bank.order().medium == "LBS_GEBURTSTAG"


def test_an_unknown_column_only_warns(bank: Bank) -> None:
    name = bank.control(Neue_Spalte="x")
    bank.scan()
    assert bank.verdict(name)[:2] == ("OK_MIT_WARNUNG", "SPALTE_UNBEKANNT")
    assert len(bank.rows(tables.orders)) == 1


def test_a_file_of_another_bank_says_nothing_about_this_banks_orders(bank: Bank) -> None:
    bank.control()
    bank.scan()
    other = Bank(bank.engine, bank.root, OTHER_BLZ, made_at=NOW)
    data = other.control_bytes(Auftrags_Bezeichnung="für")
    name = bank.put(f"vreku_{OTHER_BLZ}_{ORDER}_20261122040000.csv", data)
    bank.scan()
    assert bank.verdict(name)[:2] == ("ABGELEHNT", "WIDERSPRUCH")
    assert not bank.order().faulty
    assert len(bank.rows(tables.control_files)) == 1


@pytest.mark.parametrize("stamp", ["20261112040000", "99999999999999", "20990101000000"])
def test_an_unreadable_file_marks_the_order_in_its_name(bank: Bank, stamp: str) -> None:
    """Whatever the time in its name says, a good file made after its arrival cures."""
    name = bank.put(f"vreku_{BLZ}_{ORDER}_{stamp}.csv", b"V;VREKU;1;cut off")
    bank.scan()
    assert bank.verdict(name)[0] == "ABGELEHNT"
    (noted,) = bank.rows(tables.control_files)
    assert not noted.processed
    assert noted.created_at <= clock.now()
    good = bank.control(created_at=clock.now() + timedelta(seconds=1))
    bank.scan()
    assert bank.verdict(good)[0] == "OK"


def test_a_whole_copy_of_a_truncated_file_cures(bank: Bank) -> None:
    data = bank.control_bytes(created_at=NOW - timedelta(hours=1))
    name = f"vreku_{BLZ}_{ORDER}_20261122030000.csv"
    bank.put(name, data[:-30])
    bank.scan()
    assert bank.verdict(name)[0] == "ABGELEHNT"
    bank.put(name, data)
    bank.scan()
    assert bank.verdict(name)[0] == "OK"


def test_the_example_of_the_contract_is_taken(bank: Bank, config_dir: Path) -> None:
    assert settings().config_dir == config_dir
    name = bank.control(
        created_at=datetime.fromisoformat("2026-11-05T20:30:00+00:00"),
        Listen_Name="MCAG002_Geburtstag_rund_2026",
        Werbemittel="SCOM_GEBURTSTAG",
        Beraterbilder="J",
        Faksimile="N",
        Response_Umfang="VERS+OEFF+KLIC+ABME+HBOU+SBOU+ZRUE",
        Erwartet_bis="06:00",
    )
    bank.scan()
    assert name == "vreku_99950001_R0004711_20261105213000.csv"
    assert bank.verdict(name)[0] == "OK"
    assert bank.order().wanted_events == [
        "SENT",
        "OPENED",
        "CLICKED",
        "UNSUBSCRIBED",
        "BOUNCED_HARD",
        "BOUNCED_SOFT",
        "RETAINED",
    ]
