"""A cooperative bank's occasion goes through the very same chain: selected, judged, mailed; nothing lies in clear."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.process.answers import Ending
from reku.process.daily_feedback import write_daily_feedback
from reku.process.run_day import DayResult
from reku.process.stages import STAGES
from reku.process.systems import system_of_delivery
from reku.store import tables
from reku.store.states import DeliveryState
from reku_testing import banks, days, smtp
from reku_testing.reported import rows_of
from reku_testing.smtp import Sink
from reku_testing.world import BLZ
from tests.process.test_announcing import OCCASION, campaign
from tests.sources.agree21.conftest import CoopBank, holding, person

TODAY = date(2026, 11, 24)
BORN = "24.11.1976"
Move = Callable[[datetime], None]
Work = Callable[..., DayResult]


@pytest.fixture
def bank(
    database: sa.Engine, reku_settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock_at: Move
) -> CoopBank:
    def configure(**changes: Any) -> None:
        contact = {"refusal": {"Werbesperre_KZ": ["W"]}, "estate": {"Nachlass_KZ": ["J"]}}
        told = {"name": "Volksbank Beispielstadt", "campaigns": [campaign()], "contact": contact} | changes
        banks.configure(monkeypatch, tmp_path / "config", core_system="agree21", **told)

    configure()
    clock_at(clock.at(TODAY, 5, 30))
    return CoopBank(database, reku_settings, configure)


@pytest.fixture
def work(database: sa.Engine, relay: smtp.Sink, clock_at: Move) -> Work:
    def work(**how: Any) -> DayResult:
        return days.work(database, clock_at, **{"occasion": OCCASION, **how})

    return work


def deliver(bank: CoopBank, *people: dict[str, str], at: datetime | None = None) -> None:
    bank.put("IDA_KUNDEN", people, at or clock.at(TODAY, 4, 10))
    assert bank.verdicts() == ["PROCESSED"]


def in_clear(database: sa.Engine, *wanted: str) -> set[str]:
    """The tables in which one of these texts stands anywhere, in letters or as bytes."""
    looked_for = [form for text in wanted for form in (text, text.encode().hex(), text.encode("cp1252").hex())]
    found = set()
    with database.connect() as connection:
        for table in tables.metadata.sorted_tables:
            whole = sa.func.string_agg(sa.cast(sa.literal_column(f'"{table.name}"'), sa.Text), "\n")
            text = connection.scalar(sa.select(whole).select_from(table)) or ""
            found |= {table.name for one in looked_for if one in text}
    return found


def rows(database: sa.Engine, table: sa.Table) -> list[dict[str, Any]]:
    with database.connect() as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def failed(day: DayResult) -> list[tuple[str, str]]:
    """What failed; the summary does of a day of which only the first stages were done."""
    outcomes = [one for one in day.outcomes if one.stage != "report" or day.ending("dispatch", 0)]
    return [(one.stage, one.why) for one in outcomes if one.ending is Ending.FAILED]


def test_people_are_selected_judged_and_mailed(database: sa.Engine, bank: CoopBank, work: Work, relay: Sink) -> None:
    second = person(1, Geburtsdatum=BORN, EMail="jördis@müßig.example")
    without = person(4, Geburtsdatum=BORN, Einwilligung_EMail="N")
    nowhere = person(5, Geburtsdatum=BORN, EMail="")
    deliver(bank, person(1, Geburtsdatum=BORN), second, person(2, Geburtsdatum=BORN), person(3), without, nowhere)
    day = work()
    assert failed(day) == []
    assert day.ending("export_feedback", 0) is Ending.DONE
    assert sorted(relay.recipients) == [
        "jördis@xn--mig-5ka8l.example",
        "person1@kunde.example",
        "person2@kunde.example",
    ]
    assert {mail["Subject"] for mail in relay.mails()} != {None}
    assert all("Müßig" in mail.get_body(("plain",)).get_content() for mail in relay.mails())
    assert all("50. Geburtstag" in mail.get_body(("plain",)).get_content() for mail in relay.mails())
    (made,) = rows(database, tables.selections)
    assert made["funnel"] == {
        "matched": 4,
        "selected": 2,
        "household": 0,
        "later_date": 0,
        "another_impulse": 0,
        "KEINE_EINWILLIGUNG": 1,
        "without_address": 1,
        "have_a_message": 0,
        "rows": 3,
    }
    assert made["imports"] == [rows(database, tables.imports)[0]["id"]]
    assert rows(database, tables.selected_rows) == []
    (told,) = (bank.files / BLZ / "ausgang").glob("vtm_akte_*.csv")
    assert sorted((row["Personennummer"], row["Ergebnis"]) for row in rows_of(told.read_bytes(), "VTM_AKTE")) == [
        ("0000000001", "VERSENDET"),
        ("0000000001", "VERSENDET"),
        ("0000000002", "VERSENDET"),
    ]
    assert in_clear(database, "0000000001", "0000000002") == set()
    assert work().is_green
    assert len(rows(database, tables.deliveries)) == 1
    assert len(relay.taken) == 3
    assert write_daily_feedback(database, BLZ)["rows"] == 0


def test_a_mail_about_a_holding_names_the_product(database: sa.Engine, bank: CoopBank, work: Work, relay: Sink) -> None:
    savings = campaign(name="Letzte Rate", occasion="MCAC160")
    savings["blocks"][-1] = {"block": "send", "media": ["LBS_LETZTE_RATE_SPARPLAN"]}
    bank.configure(campaigns=[savings])
    deliver(bank, person(1), person(2))
    due = {"Faelligkeit": "01.12.2026"}
    held = [holding(1, 1, Produktart="SPARPLAN_ALT", **due), holding(2, 2, Produktart="SPARBRIEF", **due)]
    bank.put("IDA_BESTAND", held, clock.at(TODAY, 4, 20))
    assert bank.verdicts() == ["PROCESSED"]
    assert failed(work(occasion="MCAC160")) == []
    (mail,) = relay.mails()
    assert "letzte Rate für Ihren Sparplan („Sparplan“)" in mail.get_body(("plain",)).get_content()


@pytest.mark.parametrize("stages", [("validate",), ("validate", "release", "upsert_subscribers"), STAGES])
def test_no_clear_number_and_no_clear_address_stands_in_any_table(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, stages: tuple[str, ...]
) -> None:
    people = ("person1@", "person2@", "Prüfweg", "Jördis", "Müßig", "0000000001", "0000000002")
    deliver(bank, person(1, Geburtsdatum=BORN), person(2, Geburtsdatum=BORN, Personennummer="0000000002"))
    assert failed(work(stages=stages)) == []
    mailed = 2 if stages == STAGES else 0
    assert len(rows(database, tables.delivery_rows)) == 2 - mailed, "a row leaves with its mail"
    assert in_clear(database, *people) == set()
    assert in_clear(database, "kunde.example") != set(), "the search finds what stands there"
    assert len(relay.taken) == mailed


def test_nothing_in_clear_between_selection_and_gate(database: sa.Engine, bank: CoopBank, work: Work) -> None:
    deliver(bank, person(1, Geburtsdatum=BORN))
    assert failed(work(stages=())) == []
    (row,) = rows(database, tables.selected_rows)
    assert row["domain"] == "kunde.example"
    assert row["person_number"].startswith("p1.")
    assert in_clear(database, "person1@", "Jördis", "Müßig", "Prüfweg", "0000000001") == set()


def test_members_of_a_household_who_share_an_address_get_one_mail(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink
) -> None:
    shared = {"Haushalt_ID": "0000077001", "EMail": "beide@kunde.example", "Geburtsdatum": BORN}
    contact, other = person(2, **shared), person(1, Ansprechperson="N", **shared)
    deliver(bank, contact, other)
    assert failed(work()) == []
    (mail,) = relay.mails()
    assert "Müßig2" in mail.get_body(("plain",)).get_content()


def test_refusal_and_estate_are_the_bank_s_to_say(database: sa.Engine, bank: CoopBank, work: Work, relay: Sink) -> None:
    refusing = person(1, Geburtsdatum=BORN, Werbesperre_KZ="W")
    deliver(bank, refusing, person(2, Geburtsdatum=BORN, Nachlass_KZ="J"), person(3, Geburtsdatum=BORN))
    assert failed(work()) == []
    assert relay.recipients == ["person3@kunde.example"]
    assert len(rows(database, tables.messages)) == 1
    funnel = rows(database, tables.selections)[0]["funnel"]
    assert (funnel["NACHLASS"], funnel["WERBEVERWEIGERER"], funnel["selected"], funnel["matched"]) == (1, 1, 1, 3)


def test_today_s_data_are_waited_for_then_any_that_are_young(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move
) -> None:
    yesterday = TODAY - timedelta(days=1)
    clock_at(clock.at(yesterday, 15))
    deliver(bank, person(1, Geburtsdatum=BORN), at=clock.at(yesterday, 14))  # addresses that came before noon are gone
    clock_at(clock.at(TODAY, 3, 10))
    seen: list[datetime] = []

    def pause(waits: Any) -> bool:
        seen.append(clock.now())
        clock_at(clock.now() + timedelta(minutes=30))
        return True

    day = work(pause=pause, stages=())
    assert day.ending("await_delivery", 0) is Ending.DONE
    assert len(rows(database, tables.selected_rows)) == 1
    assert max(seen) < clock.at(TODAY, 7) <= clock.now()


def test_without_fresh_data_it_fails_and_names_them(
    database: sa.Engine, bank: CoopBank, work: Work, clock_at: Move
) -> None:
    deliver(bank, person(1, Geburtsdatum=BORN), at=clock.at(TODAY - timedelta(days=2), 4))
    day = work()
    (why,) = [why for stage, why in failed(day) if stage == "await_delivery"]
    assert "fresh data are missing: customers (ida_kunden). There are none of today and none younger than 24 h" in why
    assert "clear `await_delivery`" in why
    assert clock.now() >= clock.at(TODAY, 20)
    assert rows(database, tables.deliveries) == []


def test_after_noon_addresses_are_gone_and_nobody_is_selected_in_vain(
    database: sa.Engine, bank: CoopBank, work: Work, clock_at: Move
) -> None:
    deliver(bank, person(1, Geburtsdatum=BORN))
    clock_at(clock.at(TODAY, 12, 5))
    assert bank.take_in().forgotten == 1
    assert "customers (ida_kunden)" in failed(work())[0][1]


def test_a_refused_selection_is_found_again_and_selected_anew(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move
) -> None:
    broken = [person(number, Geburtsdatum=BORN, Nachname="NULL") for number in (1, 2)]
    deliver(bank, *broken)
    assert any(stage == "validate" for stage, _ in failed(work()))
    assert any(stage == "validate" for stage, _ in failed(work()))
    (refused,) = rows(database, tables.deliveries)
    assert (refused["state"], rows(database, tables.selected_rows)) == (DeliveryState.REFUSED, [])
    deliver(bank, *(one | {"Nachname": "Heil"} for one in broken), at=clock.at(TODAY, 11, 30))
    retried = system_of_delivery(database, refused["id"]).source.retry(database, refused["id"], "tests")
    assert retried.state is DeliveryState.REGISTERED
    assert failed(work()) == []
    assert len(relay.taken) == 2
    with pytest.raises(StageError, match="not REFUSED"):
        system_of_delivery(database, refused["id"]).source.retry(database, refused["id"], "tests")


def test_selected_people_wait_in_one_delivery_only(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move
) -> None:
    deliver(bank, person(1, Geburtsdatum=BORN))
    assert failed(work(stages=("validate",))) == []
    clock_at(clock.at(TODAY + timedelta(days=1), 5, 30))
    deliver(bank, person(1, Geburtsdatum=BORN), person(2, Geburtsdatum=BORN), at=clock.at(TODAY + timedelta(days=1), 5))
    work()
    assert sorted(relay.recipients) == ["person1@kunde.example", "person2@kunde.example"]
    assert [row["rows"] for row in rows(database, tables.deliveries)] == [1, 1]


def test_a_rule_that_selects_nobody_ends_green(database: sa.Engine, bank: CoopBank, work: Work, relay: Sink) -> None:
    deliver(bank, person(1), person(2))
    assert failed(work()) == []
    (made,) = rows(database, tables.selections)
    assert (made["funnel"]["matched"], made["funnel"]["rows"]) == (0, 0)
    assert relay.taken == []
    (delivery,) = rows(database, tables.deliveries)
    assert (delivery["state"], delivery["rows"]) == (DeliveryState.LOADED, 0)


def test_a_rule_that_selects_everybody_asks_a_person(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink
) -> None:
    bank.configure(max_rows=2)
    deliver(bank, *(person(number, Geburtsdatum=BORN) for number in range(1, 5)))
    day = work()
    assert day.ending("dispatch", 0) is not Ending.DONE
    assert relay.taken == []
    (asked,) = rows(database, tables.releases)
    assert asked["decision"] is None


@pytest.mark.parametrize(
    ("keys", "says"),
    [("", "REKU_VAULT_KEYS is not set"), (Fernet.generate_key().decode(), "put that key back before the newest")],
    ids=["lost", "another"],
)
def test_with_a_wrong_vault_key_each_stage_says_so_and_writes_nothing(
    database: sa.Engine,
    bank: CoopBank,
    work: Work,
    relay: Sink,
    monkeypatch: pytest.MonkeyPatch,
    keys: str,
    says: str,
) -> None:
    """At the selection, the gate, the list and the mail; with the key put back the day goes on."""
    deliver(bank, person(1, Geburtsdatum=BORN))
    written = (tables.deliveries, tables.selected_rows, tables.delivery_rows, tables.messages, tables.responses)
    for until, stages in (
        ("await_delivery", ()),
        ("validate", ("validate",)),
        ("upsert_subscribers", STAGES[: STAGES.index("dispatch")]),
        ("dispatch", STAGES[: STAGES.index("dispatch") + 1]),
    ):
        before = {table.name: rows(database, table) for table in written}
        with monkeypatch.context() as patch:
            patch.setenv("REKU_VAULT_KEYS", keys)
            settings.cache_clear()
            (stage, why), *_ = failed(work(stages=stages))  # at last the report, too
        settings.cache_clear()
        assert (stage, says in why) == (until, True), why
        if until == "await_delivery":
            assert {table.name: rows(database, table) for table in written} == before
        assert failed(work(stages=stages)) == []
    assert relay.recipients == ["person1@kunde.example"]
    assert "Müßig" in relay.mails()[0].get_body(("plain",)).get_content()
