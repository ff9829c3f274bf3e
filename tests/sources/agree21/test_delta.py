"""Deltas of customers between snapshots: who changed, and nobody else; refused where no snapshot carries them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue import occasions
from reku.catalogue.selection import Selection
from reku.sources.agree21.by_hand import accept
from reku.sources.agree21.freshness import fresh_data
from reku.store import tables
from tests.sources.agree21.conftest import NOW, CoopBank, holding, person

DAY = timedelta(days=1)
Clock = Callable[[datetime], None]
NUMBERS = ("rows", "taken", "known_before", "added", "changed", "gone", "known_after")


@pytest.fixture
def bank(bank: CoopBank) -> CoopBank:
    """A bank that has agreed on deltas and has delivered ten people: two households of two, six of one."""
    bank.configure(delta_days=7)
    households = {1: "0000077001", 2: "0000077001", 3: "0000077003", 4: "0000077003"}
    everybody = [
        person(n, Haushalt_ID=households.get(n, ""), Ansprechperson="N" if n in (2, 4) else "J") for n in range(1, 11)
    ]
    bank.put("IDA_KUNDEN", everybody)
    assert bank.verdicts() == ["PROCESSED"]
    return bank


def written(bank: CoopBank) -> dict[str, str]:
    """Which transaction has last written each person and address."""
    with bank.engine.connect() as connection:
        return {
            f"{table.name} {row.person_number} {row[1]}": row.xmin
            for table, key in ((tables.persons, "institute"), (tables.person_addresses, "recipient_key"))
            for row in connection.execute(
                sa.select(table.c.person_number, table.c[key], sa.literal_column("xmin::text").label("xmin"))
            )
        }


def test_a_delta_changes_its_people_and_writes_nobody_else(bank: CoopBank, clock_at: Clock) -> None:
    before, people = written(bank), len(bank.rows(tables.persons))
    clock_at(NOW + DAY)
    changed = [person(5, Kundensegment="FK"), person(6), person(7, EMail="neu@kunde.example"), person(11)]
    bank.put("IDA_KUNDEN", [*changed, person(11, EMail="zweite@kunde.example")], NOW + DAY, delta=True)
    assert bank.verdicts() == ["PROCESSED"]
    newest = bank.newest()
    assert (newest["delta"], [newest[name] for name in NUMBERS]) == (True, [5, 5, people, 1, 1, 0, 11])
    after = written(bank)
    kept = {key for key in before if after.get(key) == before[key]}
    assert len(before) - len(kept) == 2, "one person, and one address that another has replaced"
    assert len(after) - len(kept) == 1 + 1 + 1 + 2, "the person, the new address, the new person with two"
    assert {row["missing_since"] for row in bank.rows(tables.persons)} == {None}
    assert bank.count(tables.person_numbers) == 11


def test_an_empty_delta_changes_nothing_and_is_fresh(bank: CoopBank, clock_at: Clock) -> None:
    rule = next(one.selection for one in occasions().values() if isinstance(one.selection, Selection))
    clock_at(NOW + DAY)

    def missing() -> list[str]:
        with bank.engine.connect() as connection:
            return [str(kind) for kind in fresh_data(connection, bank.institute, rule).missing if kind == "IDA_KUNDEN"]

    assert missing() == ["IDA_KUNDEN"]
    for day in (1, 2):
        clock_at(NOW + day * DAY)
        bank.put("IDA_KUNDEN", [], NOW + day * DAY, framed=False, columns=list(person(1)), delta=True)
        assert bank.verdicts() == ["PROCESSED UNGESICHERT"], "equal to yesterday's, and no duplicate"
        assert missing() == []
        assert (bank.newest()["known_after"], bank.newest()["changed"]) == (10, 0)


def test_who_is_missing_is_known_from_snapshots_and_leaves_with_a_delta_too(bank: CoopBank, clock_at: Clock) -> None:
    bank.configure(delta_days=7, max_shrink=0.5)
    at = NOW + DAY
    clock_at(at)
    bank.put("IDA_KUNDEN", [person(n) for n in range(5, 11)], at)
    bank.verdicts()
    assert [row["missing_since"] for row in bank.rows(tables.persons)].count(date(2026, 11, 23)) == 4
    clock_at(at + DAY)
    bank.put("IDA_KUNDEN", [person(1)], at + DAY, delta=True)
    assert bank.verdicts() == ["PROCESSED"]
    assert [bank.newest()[name] for name in NUMBERS] == [1, 1, 10, 0, 1, 3, 7], "1 is back, 2 to 4 are gone"


def test_addresses_of_a_delta_bank_live_until_the_next_snapshot_is_overdue(bank: CoopBank, clock_at: Clock) -> None:
    for day in (1, 6):
        clock_at(NOW + day * DAY)
        bank.put("IDA_KUNDEN", [person(5, Kundensegment=f"S{day}")], NOW + day * DAY, delta=True)
        assert bank.verdicts() == ["PROCESSED"]
        clock_at(NOW + day * DAY + timedelta(hours=8))
        assert bank.take_in().forgotten == 0
    assert bank.count(tables.person_addresses) == 10
    clock_at(NOW + 7 * DAY + timedelta(hours=8))
    assert bank.take_in().forgotten == 10
    assert {row["wrapped"] for row in bank.rows(tables.data_keys) if row["kind"] == "ADDRESS"} == {None}


def _not_agreed(bank: CoopBank, _clock: Clock) -> None:
    bank.configure(delta_days=0)


def _eight_days(_bank: CoopBank, clock_at: Clock) -> None:
    clock_at(NOW + 8 * DAY)


def _no_snapshot(bank: CoopBank, _clock: Clock) -> None:
    with bank.engine.begin() as connection:
        connection.execute(sa.delete(tables.imports))


def _no_addresses(bank: CoopBank, _clock: Clock) -> None:
    with bank.engine.begin() as connection:
        connection.execute(sa.delete(tables.person_addresses))


@pytest.mark.parametrize(
    ("happens", "says"),
    [
        (_not_agreed, "nicht vereinbart"),
        (_no_snapshot, "noch keinen ganzen Bestand"),
        (_eight_days, "vom 22.11.2026, älter als 7 Tage"),
        (_no_addresses, "Adressen des letzten ganzen Bestands sind nicht mehr da"),
    ],
)
def test_a_delta_that_no_snapshot_carries_is_refused_in_words(
    bank: CoopBank, clock_at: Clock, happens: Callable[[CoopBank, Clock], None], says: str
) -> None:
    clock_at(NOW + DAY)
    happens(bank, clock_at)
    before = bank.rows(tables.persons)
    name = bank.put("IDA_KUNDEN", [person(5, Kundensegment="FK")], NOW + DAY, delta=True)
    assert bank.verdicts() == ["REFUSED AENDERUNG"]
    assert says in bank.receipt(name)
    assert bank.rows(tables.persons) == before


def test_a_delta_older_than_what_is_known_has_no_effect(bank: CoopBank) -> None:
    bank.put("IDA_KUNDEN", [person(5, Kundensegment="FK")], NOW - timedelta(minutes=1), delta=True)
    assert bank.verdicts() == ["DUPLICATE VERALTET"]


@pytest.mark.parametrize(
    ("changed", "rejected"),
    [
        ([person(1, Haushalt_ID="0000077001"), person(2, Haushalt_ID="0000077001")], 0),
        ([person(1, Haushalt_ID="0000077001")], 1),  # 2 is missing
        ([person(1), person(2, Haushalt_ID="0000077001")], 0),  # 1 leaves it, 2 is there to be ranked anew
        ([person(1)], 1),  # leaves it, 2 is missing
        ([person(5, Haushalt_ID="0000077001")], 1),  # joins one of which nobody is there
        ([person(12, Haushalt_ID="0000077012"), person(13, Haushalt_ID="0000077012")], 0),
    ],
    ids=["whole", "half", "one leaves, whole", "one leaves, half", "one joins, half", "a new one"],
)
def test_households_come_whole(bank: CoopBank, clock_at: Clock, changed: list[dict[str, str]], rejected: int) -> None:
    clock_at(NOW + DAY)
    name = bank.put("IDA_KUNDEN", [*changed, *(person(n) for n in range(20, 50))], NOW + DAY, delta=True)
    assert bank.verdicts() == ["PROCESSED"]
    assert bank.newest()["rejected"] == rejected
    assert bank.receipt(name).count("alle Personen des alten und des neuen Haushalts") == rejected
    households: dict[str, list[int]] = {}
    for row in bank.rows(tables.persons):
        households.setdefault(row["household"], []).append(row["household_rank"])
    assert all(sorted(ranks) == list(range(1, len(ranks) + 1)) for ranks in households.values())


@pytest.mark.parametrize(
    ("rows", "lacking", "verdict"),
    [
        (30, ("Geburtsdatum",), "REFUSED SPALTE_LEER"),
        (2, ("Geburtsdatum",), "REFUSED SPALTE_LEER"),
        (2, (), "PROCESSED"),
        (30, (), "REFUSED SPALTE_LEER"),
    ],
    ids=["many without the column", "few without it", "few, empty by chance", "many, all empty"],
)
def test_a_delta_that_would_empty_a_column_waits_for_a_person(
    bank: CoopBank, clock_at: Clock, rows: int, lacking: tuple[str, ...], verdict: str
) -> None:
    clock_at(NOW + DAY)
    people = [person(n, Geburtsdatum="") for n in range(20, 20 + rows)]
    columns = [name for name in people[0] if name not in lacking]
    bank.put("IDA_KUNDEN", people, NOW + DAY, delta=True, columns=columns)
    (result,) = bank.take_in().outcomes
    assert f"{result.verdict} {result.code}".strip() == verdict
    if result.code:
        taken: Any = accept(bank.engine, bank.institute, result.file_id, actor="tester", note="stimmt")
        assert (taken.verdict, bank.newest()["delta"], bank.newest()["gone"]) == ("PROCESSED", True, 0)


def test_the_next_snapshot_is_held_against_the_last_one_not_against_a_delta(bank: CoopBank, clock_at: Clock) -> None:
    clock_at(NOW + DAY)
    bank.put("IDA_KUNDEN", [person(5)], NOW + DAY, delta=True)
    bank.put("IDA_BESTAND", [holding(1, 1)], NOW + DAY)
    assert bank.verdicts() == ["PROCESSED", "PROCESSED"], "a delta is the day's customers, holdings need not wait"
    bank.put("IDA_KUNDEN", [person(n) for n in range(1, 4)], NOW + DAY + timedelta(minutes=1))
    assert bank.verdicts() == ["REFUSED SCHRUMPFUNG"]
    assert datetime(2026, 11, 23, 4, 30, tzinfo=UTC) == bank.newest()["data_at"]
