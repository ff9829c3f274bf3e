"""The file for agree21BAP, from a bank's data to what somebody fetches: the whole state of a day, day after day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue.channel_name import ChannelName
from reku.foundation import clock
from reku.foundation.errors import ConfigError, StageError
from reku.pickup.take import TakenFile, fetch
from reku.privacy.retention import apply
from reku.process.daily_files import prepare_daily_files, prepare_now
from reku.process.run_day import DayResult
from reku.process.stages import STAGES
from reku.process.systems import FILE_FORMATS, bank_named
from reku.store import tables
from reku.views.funnel import funnel
from reku.views.prepared_overview import prepared_files_of
from reku_testing.reported import rows_of
from reku_testing.smtp import Sink
from reku_testing.world import BLZ
from tests.process.test_channels import BIRTHDAY, MEDIUM, NOWHERE, by, reached
from tests.process.test_selection_chain import TODAY, deliver, failed, in_clear, rows
from tests.process.test_selection_chain import bank as bank  # a fixture
from tests.process.test_selection_chain import work as work  # a fixture
from tests.sources.agree21.conftest import CoopBank, person

Move = Callable[[datetime], None]
Work = Callable[..., DayResult]
LOADED = STAGES[: STAGES.index("dispatch")]
"""What is done of a delivery until its messages are in the ledger."""


def take(engine: sa.Engine, actor: str = "Erika Beispiel") -> TakenFile:
    """The newest file of all deliveries that may be fetched, fetched."""
    newest = next(one for one in prepared_files_of(engine, BLZ, fetchable=True) if one.kind == "BAP")
    return fetch(engine, bank_named(BLZ), FILE_FORMATS, newest.id, actor=actor)


def told(taken: TakenFile) -> dict[tuple[str, str], str]:
    """Number and channel → EIN or AUS, of a file for agree21BAP; the number without its zeros."""
    lines = rows_of(taken.files[taken.name], "BAP_STEUERUNG")
    found = {(row["Personennummer"].lstrip("0"), row["Kanal"]): row["Aktion"] for row in lines}
    assert len(found) == len(lines)
    return found


def state(engine: sa.Engine) -> dict[tuple[str, str], str]:
    return told(take(engine))


def adds_up(engine: sa.Engine) -> bool:
    return all(line.adds_up for line in funnel(engine))


def test_the_state_of_a_day(database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move) -> None:
    bank.configure(campaigns=by("email", "letter", "advisor"), contact={"blocking_days": {MEDIUM: 30}})
    assert prepare_daily_files(database, BLZ).counts == {"waits_for_selections": 1}  # there are no data yet
    deliver(
        bank,
        person(1, **BIRTHDAY),
        person(2, **NOWHERE),
        person(3, **NOWHERE, Strasse="", Nachname='Müßig; "Lukasz"'),
        person(4),
    )
    work(stages=())
    assert prepare_daily_files(database, BLZ).counts == {"waits_for_selections": 1}  # selected, and not loaded
    assert failed(work(stages=LOADED)) == []
    assert prepare_daily_files(database, BLZ).counts == {"prepared": 1, "bap": 1}
    assert sorted(reached(database).values()) == ["advisor PREPARED", "email OPEN", "letter OPEN"]
    assert prepare_daily_files(database, BLZ).counts == {}
    # Nothing of the person who is shown something is needed any more, and nothing is clear.
    assert {row["person_number"] for row in rows(database, tables.delivery_rows)} == {
        row["person_number"] for row in rows(database, tables.messages) if row["channel"] != "advisor"
    }
    (line,) = prepared_files_of(database, BLZ)
    assert (line.kind, line.rows, line.state, line.last_day) == ("BAP", 3, "prepared", TODAY)
    taken = take(database)
    assert sorted(reached(database).values()) == ["advisor SENT", "email OPEN", "letter OPEN"]
    lines = sorted(rows_of(taken.files[taken.name], "BAP_STEUERUNG"), key=lambda row: row["Personennummer"])
    assert lines[2] == {
        "Personennummer": "0000000003",
        "Kampagnen_Nr": "K2026-014",
        "Kanal": "BERATER",
        "Aktion": "EIN",
        "Anlassvorlage": "MF_PLATZHALTER_01",
        "Werbemittel": MEDIUM,
        "Anzeige_von": "24.11.2026",
        "Anzeige_bis": lines[0]["Anzeige_bis"],
        "Sperre_bis": "24.12.2026",
        "Pflichtkampagne": "N",
        "Prioritaet": lines[0]["Prioritaet"],
    }
    assert [(row["Kanal"], row["Sperre_bis"], row["Werbemittel"]) for row in lines[:2]] == [
        ("EMAIL", "", MEDIUM),
        ("BRIEF", "", MEDIUM),
    ]
    assert in_clear(database, "0000000003", "Müßig", "Lukasz") == set()
    again = take(database, "Max Muster")
    assert (again.first, again.files) == (False, taken.files)
    # The mail and the letter go out as they would without it; then all numbers add up.
    assert failed(work()) == []
    assert sorted(reached(database).values()) == ["advisor SENT", "email SENT", "letter PREPARED"]
    assert adds_up(database)
    assert [(row["actor"], row["action"]) for row in rows(database, tables.audit) if row["action"] == "fetch file"] == [
        ("Erika Beispiel", "fetch file"),
        ("Max Muster", "fetch file"),
    ]


def test_who_drops_out_is_off_until_the_last_day_and_a_lost_file_heals(
    database: sa.Engine, bank: CoopBank, work: Work, clock_at: Move
) -> None:
    bank.configure(campaigns=by("online_banking", "email"))
    people = [person(number, **BIRTHDAY) for number in range(1, 5)]
    deliver(bank, *people)
    assert failed(work(stages=LOADED)) == []
    last = TODAY + timedelta(days=10)
    with database.begin() as connection:
        connection.execute(sa.update(tables.messages).values(last_day=last))
    prepare_daily_files(database, BLZ)
    assert state(database) == dict.fromkeys([(str(n), "ONLINEBANKING") for n in range(1, 5)], "EIN")
    # The next day one refuses, one has died, one has left; this file is lost: nobody fetches it.
    for days in (1, 2, 3):
        day = TODAY + timedelta(days=days)
        clock_at(clock.at(day, 5, 30))
        changed = [people[0] | {"Werbesperre_KZ": "W"}, people[1] | {"Nachlass_KZ": "J"}, people[3]]
        bank.put("IDA_KUNDEN", [*changed, *(person(n) for n in range(10, 12))], clock.at(day, 4, 10))
        bank.verdicts()
        prepare_now(database, bank_named(BLZ), day)
        apply(database, clock.now())
        if days == 1:
            continue
        found = state(database)
        expected = {("1", "ONLINEBANKING"): "AUS", ("2", "ONLINEBANKING"): "AUS", ("4", "ONLINEBANKING"): "EIN"}
        assert found.items() >= expected.items()
        assert found.keys() - expected.keys() <= {("3", "ONLINEBANKING")}
        assert set(found.values()) == {"AUS", "EIN"}
    assert [one.state for one in prepared_files_of(database)] == ["fetched", "fetched", "expired", "fetched"]
    clock_at(clock.at(last + timedelta(days=1), 8))
    bank.put("IDA_KUNDEN", people, clock.now() - timedelta(hours=4))
    bank.verdicts()
    assert prepare_daily_files(database, BLZ).counts == {"bap": 1}
    assert rows(database, tables.told_in_bap) == []
    taken = take(database)  # an empty one: silence is noticed
    assert told(taken) == {}
    assert taken.files[taken.name].decode("cp1252").splitlines()[-1].startswith("N;0;")


def test_what_was_never_fetched_ends_with_its_own_last_day(
    database: sa.Engine, bank: CoopBank, work: Work, clock_at: Move
) -> None:
    bank.configure(campaigns=by("terminal"))
    deliver(bank, person(1, **BIRTHDAY), person(2, **BIRTHDAY))
    assert failed(work(stages=LOADED)) == []
    with database.begin() as connection:
        first = sa.select(sa.func.min(tables.messages.c.id)).scalar_subquery()
        longer = sa.update(tables.messages).where(tables.messages.c.id == first)
        connection.execute(sa.update(tables.messages).values(last_day=TODAY))
        connection.execute(longer.values(last_day=TODAY + timedelta(days=1)))
    prepare_daily_files(database, BLZ)
    for days, expected in ((1, ["PREPARED", "UNDELIVERED"]), (2, ["UNDELIVERED", "UNDELIVERED"])):
        clock_at(clock.at(TODAY + timedelta(days=days), 0, 30))
        apply(database, clock.now())
        assert sorted(row["state"] for row in rows(database, tables.messages)) == expected
        assert rows(database, tables.prepared_rows) == []
    assert {(row["kind"], row["reason"]) for row in rows(database, tables.responses)} == {
        ("NOT_SENT", "NICHT_ABGEHOLT")
    }
    assert adds_up(database)


def test_a_newer_file_takes_the_place_of_one_that_nobody_fetched(
    database: sa.Engine, bank: CoopBank, work: Work
) -> None:
    bank.configure(campaigns=by("advisor"))
    deliver(bank, person(1, **BIRTHDAY))
    assert failed(work(stages=LOADED)) == []
    prepare_daily_files(database, BLZ)
    prepare_now(database, bank_named(BLZ), TODAY, again=True)
    newer, older = prepared_files_of(database)
    assert (newer.state, older.state) == ("prepared", "expired")
    with pytest.raises(StageError, match="a newer one has taken its place"):
        fetch(database, bank_named(BLZ), FILE_FORMATS, older.id, actor="Max Muster")
    assert state(database) == {("1", "BERATER"): "EIN"}


def test_at_eight_it_is_made_whatever_is_missing_but_not_of_old_data(
    database: sa.Engine, bank: CoopBank, work: Work, clock_at: Move
) -> None:
    bank.configure(campaigns=by("advisor"))
    deliver(bank, person(1, **BIRTHDAY))
    clock_at(clock.at(TODAY, 7, 59))
    assert prepare_daily_files(database, BLZ).counts == {"bap": 1}  # no order was announced yet, so none is due
    assert [one.rows for one in prepared_files_of(database)] == [0]
    tomorrow = TODAY + timedelta(days=1)
    clock_at(clock.at(tomorrow, 8))
    with pytest.raises(StageError, match="no file for agree21BAP today, since the bank's customers"):
        prepare_daily_files(database, BLZ)
    bank.put("IDA_KUNDEN", [person(1)], clock.at(tomorrow, 7))
    bank.verdicts()
    work(stages=())
    assert prepare_daily_files(database, BLZ).counts == {"bap": 1}


def test_one_delivery_that_cannot_go_out_holds_up_no_other(database: sa.Engine, bank: CoopBank, work: Work) -> None:
    """And what is stopped stays open; the file is made without it."""
    from reku.dispatch import stop_switches

    bank.configure(campaigns=by("advisor", "email"))
    deliver(bank, person(1, **BIRTHDAY))
    assert failed(work(stages=LOADED)) == []
    stop_switches.throw(database, institute=BLZ, order="K2026-014", actor="Anna", note="a fault")
    done = prepare_daily_files(database, BLZ)
    assert done.counts == {"bap": 1}
    assert ["stopped the dispatch of order K2026-014" in problem for problem in done.problems] == [True]
    assert state(database) == {}
    assert reached(database) == {1: "advisor OPEN"}


@pytest.mark.parametrize("where", ["reku.channels.bap.day_state.new_file", "reku.channels.bap.channel.forget_rows"])
def test_killed_before_a_commit_nothing_has_changed(
    database: sa.Engine, bank: CoopBank, work: Work, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    bank.configure(campaigns=by("advisor"))
    deliver(bank, person(1, **BIRTHDAY))
    assert failed(work(stages=LOADED)) == []

    def dies(*_: Any, **__: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(where, dies)
        with pytest.raises(KeyboardInterrupt):
            prepare_daily_files(database, BLZ)
    assert prepared_files_of(database) == []
    assert rows(database, tables.told_in_bap) == []
    prepare_daily_files(database, BLZ)
    assert state(database) == {("1", "BERATER"): "EIN"}


def test_the_dispatch_prepares_what_comes_after_the_file(
    database: sa.Engine, bank: CoopBank, work: Work, clock_at: Move
) -> None:
    bank.configure(campaigns=by("advisor"))
    deliver(bank, person(1, **BIRTHDAY))
    work(stages=())
    clock_at(clock.at(TODAY, 8))
    assert prepare_daily_files(database, BLZ).counts == {"bap": 1}
    assert failed(work()) == []
    assert reached(database) == {1: "advisor PREPARED"}
    prepare_now(database, bank_named(BLZ), TODAY, again=True)
    assert state(database) == {("1", "BERATER"): "EIN"}
    assert reached(database) == {1: "advisor SENT"}


@pytest.mark.parametrize(
    ("name", "told"),
    [("adviser", "Did you mean advisor"), ("onlinebanking", "Did you mean online_banking"), ("fax", "Those there are")],
)
def test_a_channel_that_there_is_not(bank: CoopBank, name: str, told: str) -> None:
    bank.configure(campaigns=by("email", name))
    with pytest.raises(ConfigError, match=told):
        bank_named(BLZ)


def test_every_channel_has_a_word_in_the_file() -> None:
    from reku.channels.bap.bap_file import KIND, KINDS
    from reku.records.contract import contracts

    column = contracts()[KIND].column("Kanal")
    assert column
    assert set(KINDS) == set(ChannelName)
    assert set(KINDS.values()) == set(column.values)
