"""Files of a cooperative bank's data, taken in, refused or waiting; what the tables hold afterwards adds up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from reku.foundation.addresses import address_hmac
from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.sources.agree21.by_hand import accept
from reku.sources.inbox import filing
from reku.store import tables
from reku_testing.clear_numbers import clear_numbers
from reku_testing.world import BLZ
from tests.sources.agree21.conftest import NOW, CoopBank, appointment, holding, impulse, person

DAY = timedelta(days=1)
Clock = Callable[[datetime], None]


def clear(bank: CoopBank) -> dict[str, str]:
    """Pseudonyms of the people there are → clear numbers."""
    with bank.engine.connect() as connection:
        return clear_numbers(connection, BLZ, [row["person_number"] for row in bank.rows(tables.persons)])


def test_the_four_files_of_a_day_in_whatever_order_they_lie(bank: CoopBank) -> None:
    bank.put(
        "IMPULSE", [impulse("IMP-1", 1), impulse("IMP-2", 2, Gueltig_bis="21.11.2026")], NOW + timedelta(minutes=-1)
    )
    bank.put("GDIX_TERMINE", [appointment("T-1", 1), appointment("T-2", 2, Status="ABGESAGT")])
    bank.put("IDA_BESTAND", [holding(1, 1), holding(2, 1), holding(3, 2, Faelligkeit="")])
    bank.put("IDA_KUNDEN", [person(1), person(1, EMail="zwei@kunde.example"), person(2, EMail="")])
    report = bank.take_in()
    assert [(one.kind, one.verdict) for one in report.outcomes] == [
        ("IDA_KUNDEN", "PROCESSED"),
        ("IDA_BESTAND", "PROCESSED"),
        ("GDIX_TERMINE", "PROCESSED"),
        ("IMPULSE", "PROCESSED"),
    ]
    assert [(row["rows"], row["known_after"], row["gone"]) for row in bank.rows(tables.imports)] == [
        (3, 2, 0),
        (3, 3, 0),
        (2, 2, 0),
        (2, 1, 0),
    ]
    assert sorted(clear(bank).values()) == ["0000000001", "0000000002"]
    assert {row["person_number"][:3] for row in bank.rows(tables.holdings)} == {"p1."}
    assert {row["contract_number"][:3] for row in bank.rows(tables.holdings)} == {"v1."}
    assert [row["day"] for row in bank.rows(tables.appointments)] == [date(2026, 11, 26)]
    keys = {row["recipient_key"] for row in bank.rows(tables.person_addresses)}
    assert keys == {address_hmac(BLZ, "person1@kunde.example"), address_hmac(BLZ, "zwei@kunde.example"), ""}
    assert bank.lying() == [], "originals hold names and clear numbers"


def test_nothing_clear_stands_in_any_table(bank: CoopBank) -> None:
    bank.put("IDA_KUNDEN", [person(n, Haushalt_ID="4711004711") for n in (1, 2)])
    bank.put("IDA_BESTAND", [holding(1, 1)])
    assert bank.verdicts() == ["PROCESSED", "PROCESSED"]
    secret = ["0000000001", "4711004711", "7000000001", "Müßig", "Prüfweg", "person1@kunde.example"]
    for table in tables.metadata.sorted_tables:
        text = repr(bank.rows(table))
        assert [word for word in secret if word in text] == [], table.name


def test_a_file_with_a_header_line_only(bank: CoopBank) -> None:
    name = bank.put("IDA_KUNDEN", [person(1), person(2)], framed=False)
    assert bank.verdicts() == ["PROCESSED UNGESICHERT"]
    assert bank.count(tables.persons) == 2
    assert "OK_MIT_WARNUNG" in bank.receipt(name)
    assert ";AGREE21;" in bank.receipt(name)


def test_what_did_not_change_is_not_written(bank: CoopBank, clock_at: Clock) -> None:
    def written() -> dict[str, str]:
        with bank.engine.connect() as connection:
            return {
                f"{table.name} {row.key}": row.xmin
                for table, key in ((tables.persons, "person_number"), (tables.holdings, "contract_number"))
                for row in connection.execute(
                    sa.select(table.c[key].label("key"), sa.literal_column("xmin::text").label("xmin"))
                )
            }

    bank.put("IDA_KUNDEN", [person(n) for n in range(1, 21)])
    bank.put("IDA_BESTAND", [holding(n, n) for n in range(1, 21)])
    bank.take_in()
    before = written()
    clock_at(NOW + DAY)
    people = [person(n, Stand="22.11.2026") for n in range(1, 20)] + [person(20, Kundensegment="FK"), person(21)]
    bank.put("IDA_KUNDEN", people, NOW + DAY)
    bank.put("IDA_BESTAND", [holding(n, n, Saldo_Klasse="D" if n == 3 else "C") for n in range(1, 21)], NOW + DAY)
    bank.take_in()
    first, second = bank.rows(tables.imports)[2:]
    assert [first[name] for name in ("known_before", "added", "changed", "gone", "known_after")] == [20, 1, 1, 0, 21]
    assert [second[name] for name in ("known_before", "added", "changed", "gone", "known_after")] == [20, 0, 1, 0, 20]
    after = written()
    assert sum(1 for key in before if before[key] != after[key]) == 2


def test_who_is_missing_leaves_after_a_day_with_everything(bank: CoopBank, clock_at: Clock) -> None:
    everybody = [person(n) for n in range(1, 11)]
    for day, people, there in ((0, everybody, 10), (1, everybody[1:], 10), (2, everybody[1:], 9), (3, everybody, 10)):
        clock_at(NOW + day * DAY)
        bank.put("IDA_KUNDEN", people, NOW + day * DAY)
        assert bank.verdicts() == ["PROCESSED"]
        assert bank.count(tables.persons) == there, day
        if day == 0:
            bank.put("IDA_BESTAND", [holding(1, 1)])
            bank.put("IMPULSE", [impulse("IMP-1", 1)])
            assert bank.verdicts() == ["PROCESSED", "PROCESSED"]
        if day == 1:
            assert [row["missing_since"] for row in bank.rows(tables.persons)].count(date(2026, 11, 23)) == 1
    assert bank.count(tables.person_numbers) == 10
    assert bank.count(tables.holdings) == bank.count(tables.impulses) == 0


def test_the_day_a_missing_person_is_back_changes_nothing(bank: CoopBank, clock_at: Clock) -> None:
    everybody = [person(n) for n in range(1, 11)]
    for day, people in enumerate((everybody, everybody[1:], everybody)):
        clock_at(NOW + day * DAY)
        bank.put("IDA_KUNDEN", people, NOW + day * DAY)
        bank.take_in()
    assert {row["missing_since"] for row in bank.rows(tables.persons)} == {None}


@pytest.mark.parametrize(
    ("second", "code"),
    [
        ([person(n) for n in range(1, 8)], "SCHRUMPFUNG"),
        ([], "SCHRUMPFUNG"),
        ([person(n, Geburtsdatum="") for n in range(1, 11)], "SPALTE_LEER"),
        ([{k: v for k, v in person(n).items() if k != "Werbesperre_KZ"} for n in range(1, 11)], ""),
        ([{k: v for k, v in person(n).items() if k != "Geburtsdatum"} for n in range(1, 11)], "SPALTE_LEER"),
        ([person(n) for n in range(1, 9)], ""),
    ],
    ids=["30 % smaller", "empty", "hollow", "a column that never was filled", "without a column", "20 % smaller"],
)
def test_a_doubtful_snapshot_erases_nobody_until_somebody_accepts_it(
    bank: CoopBank, clock_at: Clock, second: list[dict[str, str]], code: str
) -> None:
    bank.put("IDA_KUNDEN", [person(n) for n in range(1, 11)])
    bank.take_in()
    before = bank.rows(tables.persons)
    clock_at(NOW + DAY)
    bank.put("IDA_KUNDEN", second, NOW + DAY)
    (result,) = bank.take_in().outcomes
    assert (result.verdict, result.code) == (("REFUSED", code) if code else ("PROCESSED", ""))
    if not code:
        with pytest.raises(StageError, match="no snapshot that waits"):
            accept(bank.engine, bank.institute, result.file_id, actor="tester", note="probe")
        return
    assert bank.rows(tables.persons) == before
    accepted = accept(bank.engine, bank.institute, result.file_id, actor="tester", note="die Bank bestätigt es")
    assert accepted.verdict == "PROCESSED"
    assert bank.newest()["rows"] == len(second)
    assert bank.lying() == []
    noted = [row["note"] for row in bank.rows(tables.audit) if row["action"] != "erase rows"]
    assert noted == ["die Bank bestätigt es"]


def test_the_same_file_again_and_an_older_one_have_no_effect(bank: CoopBank) -> None:
    bank.put("IDA_KUNDEN", [person(1)])
    bank.take_in()
    bank.put("IDA_KUNDEN", [person(1)])
    assert bank.verdicts() == ["DUPLICATE DUBLETTE"]
    bank.put("IDA_KUNDEN", [person(1), person(2)], NOW - DAY)
    assert bank.verdicts() == ["DUPLICATE VERALTET"]
    assert (bank.count(tables.persons), bank.count(tables.imports)) == (1, 1)


def test_holdings_wait_for_the_customers_of_their_day_until_data_by(bank: CoopBank, clock_at: Clock) -> None:
    bank.put("IDA_BESTAND", [holding(1, 1)])
    assert (bank.take_in().waiting, bank.verdicts()) == (1, [])
    bank.put("IDA_KUNDEN", [person(1)])
    assert bank.verdicts() == ["PROCESSED", "PROCESSED"]
    clock_at(NOW + DAY)
    bank.put("IDA_BESTAND", [holding(1, 1), holding(2, 1)], NOW + DAY)
    assert bank.verdicts() == []
    clock_at(NOW + DAY + timedelta(hours=2))
    assert bank.verdicts() == ["PROCESSED"]


@pytest.mark.parametrize(("strangers", "expected"), [(5, "PROCESSED"), (6, "REFUSED PERSON_UNBEKANNT")])
def test_rows_of_unknown_people_are_few_and_told_or_the_file_is_refused(
    bank: CoopBank, strangers: int, expected: str
) -> None:
    bank.put("IDA_KUNDEN", [person(1)])
    name = bank.put("IDA_BESTAND", [holding(n, 1 if n > strangers else 99) for n in range(1, 101)])
    assert bank.verdicts() == ["PROCESSED", expected]
    if expected == "PROCESSED":
        counts = bank.newest()
        assert (counts["rows"], counts["taken"], counts["rejected"], counts["orphans"]) == (100, 95, 5, 5)
        assert bank.receipt(name).count("PERSON_UNBEKANNT") == 5
    else:
        assert bank.count(tables.holdings) == 0


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("Personennummer", "1234567", "Excel"),
        ("Personennummer", "1,23E+09", "Excel hat die Nummer gerundet"),
        ("Personennummer", "p1.9f2c4e7ab01d55c3", "genau 10 Ziffern"),
        ("PLZ", "1067", "Excel"),
        ("Geburtsdatum", "1976-02-14", "von Excel umgestellt"),
        ("Geburtsdatum", "2/14/1976", "von Excel umgestellt"),
        ("Geburtsdatum", "27804", "von Excel umgestellt"),
        ("EMail", "a@kunde.example;b@kunde.example", "mehrere Zeilen"),
        ("EMail", "keine Adresse", "gültige Mailadresse"),
        ("Ansprechperson", "ja", "J oder N"),
        ("Haushalt_ID", "7,7E+09", "Excel hat die Nummer gerundet"),
    ],
)
def test_a_bad_row_goes_back_with_its_cure_and_the_others_go_on(
    bank: CoopBank, field: str, value: str, says: str
) -> None:
    name = bank.put("IDA_KUNDEN", [person(1, **{field: value}), *(person(n) for n in range(2, 31))])
    assert bank.verdicts() == ["PROCESSED"]
    assert (bank.newest()["rejected"], bank.count(tables.persons)) == (1, 29)
    (line,) = (line for line in bank.receipt(name).splitlines() if ";SATZ;" in line)
    assert says in line
    assert value not in line


def test_a_file_that_excel_has_saved_is_refused_in_words(bank: CoopBank) -> None:
    name = bank.put("IDA_KUNDEN", [person(n, Personennummer=f"{n}") for n in range(1, 31)])
    assert bank.verdicts() == ["REFUSED FEHLERQUOTE"]
    assert "Excel" in bank.receipt(name).splitlines()[2]
    assert bank.count(tables.persons) == 0


def test_clear_numbers_where_pseudonyms_were_promised_are_not_even_kept(bank: CoopBank) -> None:
    bank.configure(pseudonyms="bank")
    named = [person(n, Personennummer=f"p1.{n:016x}") for n in range(1, 20)]
    bank.put("IDA_KUNDEN", [*named, person(20)])
    assert bank.verdicts() == ["REFUSED KLARNUMMER"]
    assert bank.lying() == []
    assert bank.count(tables.persons) == 0
    bank.put("IDA_KUNDEN", named, NOW + timedelta(minutes=1))
    assert bank.verdicts() == ["PROCESSED"]
    assert {row["person_number"] for row in bank.rows(tables.persons)} == {row["Personennummer"] for row in named}
    assert bank.count(tables.person_numbers) == 0


def test_without_pseudonyms_numbers_keep_their_zeros(bank: CoopBank) -> None:
    bank.configure(pseudonyms="keine")
    bank.put("IDA_KUNDEN", [person(1)])
    bank.take_in()
    (row,) = bank.rows(tables.persons)
    assert (row["person_number"], row["household"], row["postcode"]) == ("0000000001", "0000000001", "01067")


@pytest.mark.parametrize("variable", ["REKU_VAULT_KEYS", "REKU_PSEUDONYM_KEYS"])
def test_without_a_key_nothing_is_written_and_the_file_waits(
    bank: CoopBank, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    bank.put("IDA_KUNDEN", [person(1)])
    with monkeypatch.context() as patched:
        patched.setenv(variable, "")
        settings.cache_clear()
        report = bank.take_in()
    settings.cache_clear()
    assert (len(report.outcomes), len(report.failures)) == (0, 1)
    assert f"{variable} is not set" in report.failures[0]
    written = [table.name for table in tables.metadata.sorted_tables if bank.count(table)]
    assert (written, bank.rows(tables.file_tries)[0]["tries"]) == (["file_tries"], 0), "the file is not at fault"
    assert bank.verdicts() == ["PROCESSED"]


def test_whole_files_that_are_refused(bank: CoopBank) -> None:
    good = bank.put("IDA_KUNDEN", [person(1)])
    data = (bank.files / BLZ / "eingang" / good).read_bytes()
    (bank.files / BLZ / "eingang" / good).unlink()
    cases = {
        data.replace(b";T\r\n", b";P\r\n", 1): "REFUSED UMGEBUNG",
        data[: data.rindex(b"N;")]: "REFUSED SCHLUSSSATZ_FEHLT",
        data.replace(b"99999", b"99998").replace(b"Musterstadt", b"Musterdorf"): "REFUSED PRUEFSUMME",
        data.replace("ü".encode("cp1252"), b"\x81"): "REFUSED ZEICHENSATZ",
        data.replace(b"99950001", b"99950002", 1): "REFUSED WIDERSPRUCH",
        b"": "REFUSED LEER",
    }
    for changed, expected in cases.items():
        bank.put_bytes(good, changed)
        assert bank.verdicts() == [expected]
    assert bank.count(tables.persons) == 0


def test_names_of_others_are_not_taken(bank: CoopBank) -> None:
    for name in (
        "ida_kunden_99950002_20261122041000.csv",
        f"ida_kunden_{BLZ}_20261345041000.csv",
        f"reku_{BLZ}_R0004711_000017_20261122021500.csv",
        "urlaub.jpg",
    ):
        bank.put_bytes(name, b"x")
    assert bank.verdicts() == ["UNKNOWN DATEINAME"] * 4


def test_the_newest_word_about_an_appointment_counts(bank: CoopBank) -> None:
    bank.put("IDA_KUNDEN", [person(1)])
    moved = appointment("T-1", 1, Termin_Beginn="27.11.2026 09:00:00", Geaendert_am="21.11.2026 17:00:00")
    bank.put("GDIX_TERMINE", [moved, appointment("T-1", 1)])
    bank.take_in()
    assert [row["day"] for row in bank.rows(tables.appointments)] == [date(2026, 11, 27)]
    bank.put("GDIX_TERMINE", [appointment("T-1", 1, Status="ABGESAGT")], NOW + timedelta(minutes=1))
    bank.take_in()
    assert bank.count(tables.appointments) == 1, "older than what is known"
    gone = appointment("T-1", 1, Status="ABGESAGT", Geaendert_am="22.11.2026 08:00:00")
    bank.put("GDIX_TERMINE", [gone], NOW + timedelta(minutes=2))
    bank.take_in()
    assert bank.count(tables.appointments) == 0


def test_addresses_leave_at_noon_and_their_key_with_them(bank: CoopBank, clock_at: Clock) -> None:
    bank.put("IDA_KUNDEN", [person(1)])
    bank.take_in()
    clock_at(datetime(2026, 11, 22, 10, 59, tzinfo=UTC))
    assert bank.take_in().forgotten == 0
    clock_at(datetime(2026, 11, 22, 11, 0, tzinfo=UTC))
    assert bank.take_in().forgotten == 1
    assert {row["kind"]: row["wrapped"] is None for row in bank.rows(tables.data_keys)} == {
        "NUMBER": False,
        "ADDRESS": True,
    }
    bank.put("IDA_KUNDEN", [person(1)], NOW + timedelta(hours=7))
    assert bank.verdicts() == ["PROCESSED"]
    assert (bank.count(tables.person_addresses), bank.take_in().forgotten) == (1, 0)


def test_killed_between_decision_and_removal_the_next_look_removes_the_original(
    bank: CoopBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.put("IDA_KUNDEN", [person(1)])
    with monkeypatch.context() as patched:
        patched.setattr(filing, "finalise", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            bank.take_in()
    assert len(bank.lying()) == 1
    assert bank.verdicts() == []
    assert (bank.lying(), bank.count(tables.persons)) == ([], 1)
