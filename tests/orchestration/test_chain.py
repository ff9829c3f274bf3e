"""One occasion DAG from control file to response file, each task run by Airflow itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.foundation import clock
from reku.foundation.settings import settings
from reku.records import Head, contracts, read, write
from reku.sources.osplus.scan import take_in_all
from reku.store.tables import deliveries, lists, messages
from reku_testing import smtp, world
from reku_testing.steps import allow_any_step

pytestmark = pytest.mark.airflow

BANK, OTHER = "99990001", "99990002"
ORDER = "R0000101"
DAG = "reku_mcag002"
NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
Move = Callable[[datetime], None]
Run = Callable[..., Any]


def _put(bank: str, name: str, data: bytes) -> None:
    inbox = Path(settings().files_url) / bank / "eingang"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / name).write_bytes(data)


def order(bank: str = BANK, *, rhythm: str = "TAEGLICH", name: str = "Geburtstag_rund", event: str = "NEU") -> None:
    """A control file in the bank's inbox, made now."""
    head = Head("VREKU", "1", bank, ORDER, "0", clock.now(), "FI", "EMMA", "T")
    row = {
        "Ereignis": event,
        "BLZ": bank,
        "Auftrags_Nr": ORDER,
        "Auftrags_Bezeichnung": name,
        "Anlass_Code": "MCAG002",
        "Ausfuehrungsrhythmus": rhythm,
        "Vertriebsweg": "EMMA",
        "Gueltig_ab": "24.11.2026",
    }
    data = write(contracts()["VREKU"], head, list(row), [list(row.values())])
    _put(bank, f"vreku_{bank}_{ORDER}_{clock.berlin(clock.now()):%Y%m%d%H%M%S}.csv", data)


def deliver(number: int, people: list[dict[str, str]], bank: str = BANK) -> None:
    """A delivery in the bank's inbox, made now."""
    head = Head("REKU", "1", bank, ORDER, f"{number:06d}", clock.now(), "FI", "EMMA", "T")
    data = write(contracts()["REKU"], head, list(world.REKU_COLUMNS), [list(one.values()) for one in people])
    _put(bank, f"reku_{bank}_{ORDER}_{number:06d}_{clock.berlin(clock.now()):%Y%m%d%H%M%S}.csv", data)


def people(count: int, number: int = 1, **changes: str) -> list[dict[str, str]]:
    return [world.reku_fields(one, number, ORDER, **changes) for one in range(1, count + 1)]


def states_of(run: Any) -> dict[str, str]:
    """Task id, with its index if mapped, → state."""
    return {
        f"{ti.task_id}[{ti.map_index}]" if ti.map_index >= 0 else ti.task_id: str(ti.state)
        for ti in run.get_task_instances()
    }


def reported(bank: str = BANK) -> Counter[tuple[str, str]]:
    """Kind and Grund_Code of every row in the response files of a bank."""
    files = sorted((Path(settings().files_url) / bank / "ausgang").glob("response_*.csv"))
    rows = [
        row for file in files for row in read(contracts()["RESPONSE"], file.read_bytes(), environment="T").as_dicts()
    ]
    return Counter((row["Ereignis_Art"], row["Grund_Code"]) for row in rows)


def test_from_control_file_to_response_file(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    clock_at(NOON)
    order()
    deliver(1, [*people(3), world.reku_fields(4, 1, ORDER, Einwilligung_EMail="N")])
    take_in_all(database)
    run = run_dag(DAG, day="2026-11-24")
    assert set(states_of(run).values()) == {"success"}
    assert sorted(relay.recipients) == [f"person{n}@kunde.example" for n in (1, 2, 3)]
    assert reported() == {("VERS", ""): 3, ("NVER", "KEINE_EINWILLIGUNG"): 1}
    # clearing and running again sends nothing and reports nothing twice (docs/domain.md, rules 10 and 26)
    assert run_dag(DAG, day="2026-11-24").state == "success"
    assert len(relay.recipients) == 3
    assert sum(reported().values()) == 4


def test_nothing_ordered_is_green(database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run) -> None:
    clock_at(NOON)
    run = run_dag(DAG, day="2026-11-24")
    assert run.state == "success"
    states = states_of(run)
    assert states["await_control_file"] == "skipped"
    assert states["report"] == "success"


def test_parked_without_control_file_fails_with_the_advice(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    """docs/domain.md, rules 1 and 2: parked, list untouched, one alarm; all loads once the control file is there."""
    clock_at(NOON)
    deliver(2, people(2, 2))
    deliver(1, people(2, 1, Anlass_Datum="25.11.2026"))
    take_in_all(database)
    run = run_dag(DAG, day="2026-11-24")
    assert states_of(run)["await_control_file"] == "failed"
    assert run.state == "failed"
    assert relay.recipients == []
    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(lists)) == 0
    order()
    take_in_all(database)
    assert run_dag(DAG, day="2026-11-24").state == "success"
    assert len(relay.recipients) == 2  # birthdays of the 25th are not due yet
    clock_at(NOON + timedelta(days=1))
    deliver(3, [])
    take_in_all(database)
    assert run_dag(DAG, day="2026-11-25").state == "success"
    assert len(relay.recipients) == 4
    with database.connect() as connection:
        loaded = connection.scalars(sa.select(deliveries.c.delivery_number).order_by(deliveries.c.loaded_at)).all()
    assert loaded == [1, 2, 3]


def test_birthdays_delivered_ahead_go_out_on_the_day(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    clock_at(NOON)
    order(rhythm="WOECHENTLICH")
    ahead = [world.reku_fields(n, 1, ORDER, Anlass_Datum=f"{23 + n}.11.2026") for n in (1, 2, 3)]
    deliver(1, ahead)
    take_in_all(database)
    for day in (24, 25, 26):
        clock_at(datetime(2026, 11, day, 11, tzinfo=UTC))
        assert run_dag(DAG, day=f"2026-11-{day}").state == "success"
        assert len(relay.recipients) == day - 23


def test_one_banks_failure_leaves_the_other_untouched_and_clearing_repairs_it(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    clock_at(NOON)
    for bank in (BANK, OTHER):
        order(bank)
        deliver(1, people(2), bank)
    take_in_all(database)
    stop = stop_switches.throw(database, institute=OTHER, order=None, actor="anna", note="wrong subject")
    run = run_dag(DAG, day="2026-11-24")
    states = states_of(run)
    assert run.state == "failed"
    assert [states[f"delivery.dispatch[{index}]"] for index in (0, 1)] == ["success", "failed"]
    assert [states[f"delivery.export_feedback[{index}]"] for index in (0, 1)] == ["success", "upstream_failed"]
    assert states["report"] == "failed"
    stop_switches.lift(database, stop, actor="anna", note="mended")
    assert run_dag(DAG, day="2026-11-24").state == "success"
    assert Counter(relay.recipients) == {"person1@kunde.example": 2, "person2@kunde.example": 2}  # once for each bank


def test_what_the_server_put_off_is_sent_by_the_same_task(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits deferred: a wait of any length counts as too long for the worker here."""
    clock_at(NOON)
    order()
    deliver(1, people(2))
    take_in_all(database)
    monkeypatch.setattr("reku.dispatch.dispatch.SHORT_WAIT", timedelta())
    monkeypatch.setattr("reku.dispatch.queue.RETRY_AFTER", (1,))
    refused = iter(["451 4.7.1 greylisted"])
    relay.say = smtp.only("rcpt", lambda address: next(refused, None) if address.startswith("person1@") else None)
    assert run_dag(DAG, day="2026-11-24").state == "success"
    assert sorted(relay.recipients) == ["person1@kunde.example", "person2@kunde.example"]


def test_expected_delivery_that_does_not_come(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    """A run for a past day finds the grace over at once; the late delivery is taken by the next run."""
    clock_at(NOON)
    order()
    take_in_all(database)
    clock_at(datetime(2026, 11, 25, 11, tzinfo=UTC))
    run = run_dag(DAG, day="2026-11-24")
    assert states_of(run)["delivery.await_delivery[0]"] == "failed"
    assert run.state == "failed"
    deliver(1, people(1, Anlass_Datum="25.11.2026"))
    take_in_all(database)
    assert run_dag(DAG, day="2026-11-25").state == "success"
    assert len(relay.recipients) == 1


def test_empty_delivery_is_green(database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run) -> None:
    clock_at(NOON)
    order()
    deliver(1, [])
    take_in_all(database)
    run = run_dag(DAG, day="2026-11-24")
    assert run.state == "success"
    assert relay.recipients == []


def test_too_many_bad_rows_are_red_and_a_corrected_file_takes_the_place(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    clock_at(NOON)
    order()
    deliver(1, [*people(2), world.reku_fields(3, 1, ORDER, Nachname="")])
    take_in_all(database)
    run = run_dag(DAG, day="2026-11-24")
    assert states_of(run)["delivery.validate[0]"] == "failed"
    assert relay.recipients == []
    clock_at(NOON + timedelta(minutes=1))
    deliver(1, people(3))
    take_in_all(database)
    assert run_dag(DAG, day="2026-11-24").state == "success"
    assert len(relay.recipients) == 3


def test_a_past_days_run_does_that_days_work_and_nothing_else(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    """A backfill: what was registered and due on other days stays for their runs."""
    clock_at(NOON)
    order(rhythm="WOECHENTLICH")
    deliver(1, people(2, Anlass_Datum="24.11.2026"))
    take_in_all(database)
    clock_at(NOON + timedelta(days=1))
    deliver(2, people(1, 2, Anlass_Datum="25.11.2026"))
    take_in_all(database)
    run = run_dag(DAG, logical_date=datetime(2026, 11, 24, 2, 5, tzinfo=UTC))
    assert run.state == "success"
    assert len(relay.recipients) == 2
    with database.connect() as connection:
        assert dict(map(tuple, connection.execute(sa.select(deliveries.c.delivery_number, deliveries.c.state)))) == {
            1: "LOADED",
            2: "REGISTERED",
        }
    assert run_dag(DAG, day="2026-11-25").state == "success"
    assert len(relay.recipients) == 3


def test_a_day_that_has_not_come_is_refused(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    clock_at(NOON)
    order()
    deliver(1, people(1))
    take_in_all(database)
    assert run_dag(DAG, day="2026-11-30").state == "failed"
    assert relay.recipients == []


def test_message_in_doubt_keeps_the_run_red(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    clock_at(NOON)
    order()
    deliver(1, people(2))
    take_in_all(database)
    run_dag(DAG, day="2026-11-24")
    with database.begin() as connection:
        allow_any_step(connection)
        connection.execute(sa.update(messages).where(messages.c.id == 1).values(state="IN_DOUBT", ended_at=None))
    run = run_dag(DAG, day="2026-11-24")
    assert states_of(run)["report"] == "failed"
    assert len(relay.recipients) == 2


def test_daily_feedback_writes_a_file_for_every_bank_an_empty_one_too(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    clock_at(NOON)
    run = run_dag("reku_feedback")
    assert run.state == "success"
    for bank in (BANK, OTHER):
        assert len(list((Path(settings().files_url) / bank / "ausgang").glob("response_*.csv"))) == 1
        assert reported(bank) == {}


def test_daily_feedback_is_written_although_a_journal_of_the_tracker_is_broken(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    clock_at(NOON)
    (settings().hit_journals() / "broken.hits").mkdir(parents=True)
    assert run_dag("reku_feedback").state == "failed"
    for bank in (BANK, OTHER):
        assert len(list((Path(settings().files_url) / bank / "ausgang").glob("response_*.csv"))) == 1


def test_intake_dag_is_red_when_it_meets_a_file_that_nobody_knows(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    clock_at(NOON)
    order()
    _put(BANK, "Kundenliste Müller.xlsx", b"PK")
    assert run_dag("reku_intake").state == "failed"
    assert run_dag("reku_intake").state == "success"
    (kept,) = (Path(settings().files_url) / BANK / "fehler").iterdir()
    assert unquote(kept.name) == "Kundenliste Müller.xlsx"
    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(lists)) == 1
