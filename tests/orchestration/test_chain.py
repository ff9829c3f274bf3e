"""Airflow's part of a day's work: mapping, deferral, skips, owners. What the stages do is tested in tests/process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.foundation.settings import settings
from reku.store.tables import deliveries, lists, task_failures
from reku_testing import smtp, world
from reku_testing.bank_files import BANK, ORDER, OTHER, deliver, order, people, put, reported
from reku_testing.by_blz import take_in_all

pytestmark = pytest.mark.airflow

DAG = "reku_mcag002"
NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
Move = Callable[[datetime], None]
Run = Callable[..., Any]


def states_of(run: Any) -> dict[str, str]:
    """Task id, with its index if mapped, → state."""
    return {
        f"{ti.task_id}[{ti.map_index}]" if ti.map_index >= 0 else ti.task_id: str(ti.state)
        for ti in run.get_task_instances()
    }


def asset_events() -> dict[str, Any]:
    """What others may schedule on: URI of each asset that has had an event, and what its last one says."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session

    with create_session() as session:
        of = sa.select(AssetModel.uri, AssetEvent.extra).join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
        return {row.uri: row.extra for row in session.execute(of.order_by(AssetEvent.id))}


@contextmanager
def living(run: Any) -> Iterator[None]:
    """As if a run that has ended were still at work."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    def set_state(state: str) -> None:
        with create_session() as session:
            session.execute(sa.update(DagRun).where(DagRun.id == run.id).values(state=state))

    set_state("running")
    yield
    set_state(run.state)


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
    happened = asset_events()
    assert set(happened) == {f"reku://orders/{BANK}/{ORDER}", f"reku://response-files/{BANK}"}
    assert happened[f"reku://orders/{BANK}/{ORDER}"]["delivery"] == 1
    assert happened[f"reku://response-files/{BANK}"] == {"file": 1, "rows": 4}
    # a run of the same day, by its logical date, sends nothing and reports nothing twice
    assert run_dag(DAG, logical_date=datetime(2026, 11, 24, 2, 5, tzinfo=UTC)).state == "success"
    assert len(relay.recipients) == 3
    assert sum(reported().values()) == 4


def test_nothing_ordered_is_green(database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run) -> None:
    clock_at(NOON)
    run = run_dag(DAG, day="2026-11-24")
    assert run.state == "success"
    states = states_of(run)
    assert states["await_control_file"] == "skipped"
    assert states["report"] == "success"


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
    with database.connect() as connection:
        noted = connection.execute(sa.select(task_failures).order_by(task_failures.c.task)).all()
    assert [(row.dag, row.task, row.institute, row.occasion) for row in noted] == [
        (DAG, "delivery.dispatch", OTHER, "MCAG002"),
        (DAG, "report", None, "MCAG002"),
    ]
    assert noted[0].label.endswith("· 000001")
    stop_switches.lift(database, stop, actor="anna", note="mended")
    assert run_dag(DAG, day="2026-11-24").state == "success"
    with database.connect() as connection:
        assert connection.execute(sa.select(task_failures)).all() == []
    assert Counter(relay.recipients) == {"person1@kunde.example": 2, "person2@kunde.example": 2}  # once for each bank


def test_what_the_server_put_off_is_sent_by_the_same_task(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits deferred: a wait of any length counts as too long for the dispatcher here."""
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


def test_a_delivery_in_the_hands_of_a_run_that_lives_is_left_to_it(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    clock_at(NOON)
    order()
    deliver(1, people(2))
    take_in_all(database)
    # nothing belongs to that day; a run without a logical date would go when the next such one is made
    earlier = run_dag(DAG, logical_date=datetime(2026, 11, 23, 2, 5, tzinfo=UTC))
    with database.begin() as connection:
        connection.execute(sa.update(deliveries).values(owner_dag=DAG, owner_run=earlier.run_id))
    with living(earlier):
        run = run_dag(DAG, day="2026-11-24")
    assert states_of(run)["delivery.await_delivery[0]"] == "skipped"
    assert states_of(run)["delivery.dispatch[0]"] == "skipped"
    assert run.state == "success"  # the other one answers for it
    assert relay.recipients == []
    assert run_dag(DAG, day="2026-11-24").state == "success"
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
    assert {f"reku://response-files/{bank}" for bank in (BANK, OTHER)} <= set(asset_events())


def test_daily_feedback_is_written_although_a_journal_of_the_tracker_is_broken(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    clock_at(NOON)
    (settings().hit_journals() / "broken.hits").mkdir(parents=True)
    collected = run_dag("reku_collect")
    assert (collected.state, states_of(collected)) == ("failed", {"return_mails": "success", "hits": "failed"})
    assert run_dag("reku_feedback").state == "success"
    for bank in (BANK, OTHER):
        assert len(list((Path(settings().files_url) / bank / "ausgang").glob("response_*.csv"))) == 1


def test_intake_is_red_for_the_bank_whose_file_nobody_knows_and_for_nobody_else(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run
) -> None:
    clock_at(NOON)
    order()
    order(OTHER)
    put(BANK, "Kundenliste Müller.xlsx", b"PK")
    (Path(settings().files_url) / "99990077").mkdir()
    first = run_dag("reku_intake")
    states = states_of(first)
    assert first.state == "failed"
    assert [states[f"take_in[{index}]"] for index in (0, 1)] == ["failed", "success"]
    assert states["unclaimed"] == "failed"
    names = [ti.rendered_map_index for ti in first.get_task_instances() if ti.task_id == "take_in"]
    assert "Sparkasse Musterstadt (99990001)" in names, "found by the bank's name"
    (Path(settings().files_url) / "99990077").rmdir()
    assert run_dag("reku_intake").state == "success"
    (kept,) = (Path(settings().files_url) / BANK / "fehler").iterdir()
    assert unquote(kept.name) == "Kundenliste Müller.xlsx"
    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(lists)) == 2
