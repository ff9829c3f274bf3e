"""Whom we select is asked about twice, by one statement: at the selection, and against the newest data at the claim."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.process.collecting import collect
from reku.process.run_day import DayResult
from reku.process.stages import STAGES
from reku.process.systems import system_of_delivery
from reku.store import tables
from reku.store.kinds import EventKind, SuppressionKind, SuppressionSource
from reku.store.states import MessageState
from reku_testing.smtp import Sink
from reku_testing.steps import allow_any_step
from tests.process.test_announcing import campaign
from tests.process.test_selection_chain import BORN, TODAY, deliver, failed, rows
from tests.process.test_selection_chain import bank as bank  # a fixture
from tests.process.test_selection_chain import work as work  # a fixture
from tests.sources.agree21.conftest import CoopBank, appointment, holding, person

LOADED = STAGES[: STAGES.index("dispatch")]
MEDIUM = "SCOM_GEBURTSTAG"
Move = Callable[[datetime], None]
Work = Callable[..., DayResult]


def told(database: sa.Engine) -> list[tuple[str, str]]:
    """Kind and reason of every event."""
    return sorted((row["kind"], row["reason"]) for row in rows(database, tables.responses))


def states(database: sa.Engine) -> list[tuple[str, str]]:
    return sorted((row["state"], row["reason"]) for row in rows(database, tables.messages))


def funnel(database: sa.Engine) -> dict[str, int]:
    """The newest selection's, without what is zero; it adds up."""
    counted: dict[str, int] = max(rows(database, tables.selections), key=lambda row: row["delivery_id"])["funnel"]
    of_pairs = {name: count for name, count in counted.items() if name not in ("rows", "matched")}
    assert counted["matched"] == sum(of_pairs.values())
    return {name: count for name, count in of_pairs.items() if count}


def day_after(bank: CoopBank, move: Move, days: int, *people: dict[str, str]) -> date:
    """So many days later, with new data."""
    today = TODAY + timedelta(days=days)
    move(clock.at(today, 5, 30))
    deliver(bank, *people, at=clock.at(today, 4, 10))
    return today


def appoint(bank: CoopBank, day: date, of: int, **changes: str) -> None:
    """An appointment comes in."""
    row = appointment(f"T-{of}", of, Termin_Beginn=f"{day:%d.%m.%Y} 10:00:00", **changes)
    bank.put("GDIX_TERMINE", [row], clock.now())
    assert bank.verdicts() == ["PROCESSED"]


@pytest.mark.parametrize(
    ("days", "barred"), [(-3, False), (-2, True), (-1, True), (0, True), (1, True), (2, False)], ids=str
)
def test_an_appointment_bars_before_and_after(
    database: sa.Engine, bank: CoopBank, work: Work, days: int, barred: bool
) -> None:
    bank.configure(contact={"appointment_days": 1, "appointment_days_after": 2})
    deliver(bank, person(1, Geburtsdatum=BORN))
    appoint(bank, TODAY + timedelta(days=days), 1)
    assert failed(work(stages=())) == []
    assert funnel(database) == ({"TERMIN": 1} if barred else {"selected": 1})


def test_whom_a_passing_reason_keeps_out_is_selected_when_it_has_passed(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move
) -> None:
    bank.configure(contact={"appointment_days": 0})
    born = person(1, Geburtsdatum=BORN)
    deliver(bank, born)
    appoint(bank, TODAY, 1)
    assert failed(work()) == []
    assert (states(database), told(database)) == ([], [])
    day_after(bank, clock_at, 1, born)
    assert failed(work()) == []
    assert relay.recipients == ["person1@kunde.example"]


def test_a_passing_reason_at_the_claim_frees_its_person_and_nobody_is_told(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move
) -> None:
    bank.configure(contact={"appointment_days": 0})
    born = person(1, Geburtsdatum=BORN)
    deliver(bank, born)
    assert failed(work(stages=LOADED)) == []
    appoint(bank, TODAY, 1)
    assert failed(work()) == []
    assert (states(database), told(database)) == ([("WITHHELD", "TERMIN")], [])
    day_after(bank, clock_at, 1, born)
    assert failed(work()) == []
    assert states(database) == [("SENT", ""), ("WITHHELD", "TERMIN")]
    assert told(database) == [("SENT", "")]
    day_after(bank, clock_at, 2, born)
    assert failed(work()) == []
    assert (funnel(database), len(relay.taken)) == ({"have_a_message": 1}, 1)


def test_rivals_take_turns_while_windows_last(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move
) -> None:
    """Two orders of one occasion on one day: the first goes, the other when the blocking period is over."""
    other = campaign("K2026-015", "Zweite")
    bank.configure(
        campaigns=[campaign(), other],
        contact={"blocking_days": {MEDIUM: 1}, "at_most": {"contacts": 5, "days": 30}},
    )
    born = person(1, Geburtsdatum=BORN)
    deliver(bank, born)
    assert failed(work()) == []
    assert len(relay.taken) == 1
    assert told(database) == [("SENT", "")]
    day_after(bank, clock_at, 1, born)
    assert failed(work()) == []
    assert (len(relay.taken), funnel(database)) == (1, {"SPERRZEIT": 1})
    day_after(bank, clock_at, 2, born)
    assert failed(work()) == []
    assert len(relay.taken) == 2
    assert {row["order_id"] for row in rows(database, tables.messages) if row["state"] == "SENT"} == {1, 2}


MEANWHILE = [
    (person(1, Geburtsdatum=BORN, Einwilligung_EMail="N"), "KEINE_EINWILLIGUNG"),
    (person(1, Geburtsdatum=BORN, Werbesperre_KZ="W"), "WERBEVERWEIGERER"),
    (person(1, Geburtsdatum=BORN, Werbesperre_KZ="V"), ""),
    (person(1, Geburtsdatum=BORN, Nachlass_KZ="J"), "NACHLASS"),
    (person(9), "BESTAND"),
]


@pytest.mark.parametrize(("meanwhile", "reason"), MEANWHILE, ids=[reason or "another flag" for _, reason in MEANWHILE])
def test_the_newest_data_count_at_the_claim(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move, meanwhile: dict[str, str], reason: str
) -> None:
    deliver(bank, person(1, Geburtsdatum=BORN))
    assert failed(work(stages=LOADED)) == []
    clock_at(clock.at(TODAY, 6, 30))
    deliver(bank, meanwhile, at=clock.at(TODAY, 6))
    assert failed(work()) == []
    assert len(relay.taken) == (0 if reason else 1)
    assert (states(database), told(database)) == (
        ([("WITHHELD", reason)], [("NOT_SENT", reason)]) if reason else ([("SENT", "")], [("SENT", "")])
    )


def test_whether_estate_and_flags_exclude_is_the_bank_s_to_say(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink
) -> None:
    bank.configure(contact={})
    deliver(
        bank, person(1, Geburtsdatum=BORN, Nachlass_KZ="J"), person(2, Geburtsdatum=BORN, Werbesperre_KZ="W"), person(3)
    )
    assert failed(work()) == []
    assert len(relay.taken) == 2


def test_with_data_too_old_nothing_is_sent_and_all_stays_open(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move
) -> None:
    born = person(1, Geburtsdatum=BORN)
    deliver(bank, born)
    assert failed(work(stages=LOADED)) == []
    tomorrow = TODAY + timedelta(days=1)
    clock_at(clock.at(tomorrow, 11))
    ((stage, why),) = [one for one in failed(work(day=TODAY)) if one[0] == "dispatch"]
    assert stage == "dispatch"
    assert "neither of today nor younger than 24 hours (the newest: 24.11.2026 04:10)" in why
    assert "import fresh data, then clear `dispatch`" in why
    assert (states(database), relay.taken, told(database)) == ([("OPEN", "")], [], [])
    deliver(bank, born, at=clock.at(tomorrow, 10))
    assert failed(work(day=TODAY)) == []
    assert relay.recipients == ["person1@kunde.example"]


@pytest.mark.parametrize(
    ("bars", "reason"),
    [
        ({"kind": SuppressionKind.COMPLAINED}, "BESCHWERDELISTE"),
        ({"kind": SuppressionKind.UNSUBSCRIBED}, "ABGEMELDET"),
        ({"kind": SuppressionKind.BLACKLISTED}, "BLACKLIST"),
    ],
)
def test_who_is_barred_is_not_selected(
    database: sa.Engine, bank: CoopBank, work: Work, bars: dict[str, Any], reason: str
) -> None:
    deliver(bank, person(1, Geburtsdatum=BORN))
    (address,) = rows(database, tables.person_addresses)
    with database.begin() as connection:
        row = {"institute": address["institute"], "recipient_key": address["recipient_key"], "since": clock.now()}
        connection.execute(sa.insert(tables.suppressions).values(row | bars | {"source": SuppressionSource.SUPPORT}))
    assert failed(work()) == []
    assert (funnel(database), told(database)) == ({reason: 1}, [])


def test_of_two_dates_of_a_person_the_later_one_waits_its_turn(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move
) -> None:
    bank.configure(campaigns=[campaign(occasion="MCAF702")])
    dues = [(TODAY + timedelta(days=ahead)).strftime("%d.%m.%Y") for ahead in (20, 30)]
    held = [holding(number, 1, Faelligkeit=due) for number, due in enumerate(dues, 1)]
    for later in range(3):
        today = day_after(bank, clock_at, later, person(1))
        bank.put("IDA_BESTAND", held, clock.at(today, 4, 20))
        assert bank.verdicts() == ["PROCESSED"]
        assert failed(work(occasion="MCAF702")) == []
    assert len(relay.taken) == 2
    assert told(database) == [(EventKind.SENT, ""), (EventKind.SENT, "")]


HOUSEHOLD = {"Haushalt_ID": "0000077001", "Geburtsdatum": BORN}
TWO = {"Haushalt_ID": "0000077001", "Geburtsdatum": BORN, "Ansprechperson": "N"}
SHARED, OWN = "beide@kunde.example", "eigene@kunde.example"
MEMBERS: list[tuple[str, list[dict[str, str]], list[tuple[str, str]]]] = [
    (
        "one address, two people",
        [person(2, EMail=SHARED, **HOUSEHOLD), person(1, EMail=SHARED, **TWO)],
        [(SHARED, "2")],
    ),
    (
        "every address of a person",
        [person(1, EMail=SHARED, **HOUSEHOLD), person(1, EMail=OWN, **HOUSEHOLD)],
        [(SHARED, "1"), (OWN, "1")],
    ),
    (
        "a shared one and an own one",
        [person(2, EMail=SHARED, **HOUSEHOLD), person(1, EMail=SHARED, **TWO), person(1, EMail=OWN, **TWO)],
        [(SHARED, "2"), (OWN, "1")],
    ),
    (
        "one spelling or another",
        [person(2, EMail="Beide@Kunde.Example", **HOUSEHOLD), person(1, EMail=SHARED, **TWO)],
        [("Beide@Kunde.Example", "2")],
    ),
    (
        "two households at one address",
        [person(1, EMail=SHARED, **HOUSEHOLD), person(2, EMail=SHARED, Geburtsdatum=BORN)],
        [(SHARED, "1"), (SHARED, "2")],
    ),
    (
        "nobody is the contact person: the lowest clear number",
        [person(3, EMail=SHARED, **TWO), person(1, EMail=SHARED, **TWO), person(2, EMail=SHARED, **TWO)],
        [(SHARED, "1")],
    ),
    (
        "several contact persons: the lowest clear number",
        [person(2, EMail=SHARED, **HOUSEHOLD), person(1, EMail=SHARED, **HOUSEHOLD)],
        [(SHARED, "1")],
    ),
    (
        "the contact person may not be written to",
        [person(2, EMail=SHARED, **HOUSEHOLD, Werbesperre_KZ="W"), person(1, EMail=SHARED, **TWO)],
        [(SHARED, "1")],
    ),
    (
        "the contact person has no birthday",
        [person(2, EMail=SHARED, **HOUSEHOLD | {"Geburtsdatum": ""}), person(1, EMail=SHARED, **TWO)],
        [(SHARED, "1")],
    ),
]


@pytest.mark.parametrize(("people", "wanted"), [case[1:] for case in MEMBERS], ids=[case[0] for case in MEMBERS])
def test_every_address_of_a_household_is_selected_once(
    database: sa.Engine, bank: CoopBank, work: Work, people: list[dict[str, str]], wanted: list[tuple[str, str]]
) -> None:
    deliver(bank, *people)
    assert failed(work(stages=())) == []
    funnel(database)
    (delivery,) = rows(database, tables.deliveries)
    selected = system_of_delivery(database, delivery["id"]).source.read_rows(database, delivery["id"])
    found = [(row["EMail"], row["Nachname"].removeprefix("Müßig")) for row in selected.as_dicts()]
    assert sorted(found) == sorted(wanted)


def test_the_rest_of_a_household_gets_no_second_mail_on_the_next_day(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move
) -> None:
    for later in range(2):
        day_after(bank, clock_at, later, person(2, EMail=SHARED, **HOUSEHOLD), person(1, EMail=SHARED, **TWO))
        assert failed(work()) == []
    (mail,) = relay.mails()
    assert "Müßig2" in mail.get_body(("plain",)).get_content()
    assert (funnel(database), told(database)) == ({"DUBLETTE": 1, "have_a_message": 1}, [("SENT", "")])


def test_who_shares_an_address_gets_the_mail_if_the_contact_person_s_is_withheld_for_good(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move
) -> None:
    contact, other = person(2, EMail=SHARED, **HOUSEHOLD), person(1, EMail=SHARED, **TWO)
    deliver(bank, contact, other)
    assert failed(work(stages=LOADED)) == []
    clock_at(clock.at(TODAY, 6, 30))
    without = contact | {"Einwilligung_EMail": "N"}
    deliver(bank, without, other, at=clock.at(TODAY, 6))
    assert failed(work()) == []
    assert (relay.taken, states(database)) == ([], [("WITHHELD", "KEINE_EINWILLIGUNG")])
    day_after(bank, clock_at, 1, without, other)
    assert failed(work()) == []
    assert relay.recipients == [SHARED]


def test_row_and_data_key_leave_with_the_last_mail(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move
) -> None:
    deliver(bank, person(1, Geburtsdatum=BORN), person(2, Geburtsdatum=BORN, Werbesperre_KZ="V"))
    assert failed(work(stages=LOADED)) == []
    clock_at(clock.at(TODAY, 12, 5))
    assert bank.take_in().forgotten == 2
    assert len(rows(database, tables.delivery_rows)) == 2
    keys = {row["kind"]: row["wrapped"] is None for row in rows(database, tables.data_keys)}
    assert keys == {"NUMBER": False, "ADDRESS": False}
    assert failed(work()) == []
    assert len(relay.taken) == 2
    assert rows(database, tables.delivery_rows) == []
    keys = {row["kind"]: row["wrapped"] is None for row in rows(database, tables.data_keys)}
    assert keys == {"NUMBER": False, "ADDRESS": True}
    _noon, entry = [row for row in rows(database, tables.audit) if row["action"] == "erase rows"]
    assert entry["note"] == "2 of 2 rows erased with their mails so far; 1 data keys destroyed"


def test_what_is_in_doubt_for_too_long_is_closed_and_its_row_leaves(
    database: sa.Engine, bank: CoopBank, work: Work, clock_at: Move
) -> None:
    deliver(bank, person(1, Geburtsdatum=BORN))
    assert failed(work(stages=LOADED)) == []
    with database.begin() as connection:
        begun = {"state": MessageState.IN_DOUBT, "begun_at": clock.now(), "fence": 1}
        allow_any_step(connection)
        connection.execute(sa.update(tables.messages).values(begun))
    clock_at(clock.now() + timedelta(hours=35, minutes=59))
    assert collect(database).problems == ()
    assert (states(database), len(rows(database, tables.delivery_rows))) == ([("IN_DOUBT", "")], 1)
    clock_at(clock.now() + timedelta(minutes=2))
    assert collect(database).problems == ()
    assert (states(database), rows(database, tables.delivery_rows)) == ([("WITHHELD", "UNGEKLAERT")], [])
    assert told(database) == [("NOT_SENT", "UNGEKLAERT")]
    assert {(row["actor"], row["action"]) for row in rows(database, tables.audit)} == {
        ("reku", "erase rows"),
        ("reku", "resolve as not sent"),
    }
