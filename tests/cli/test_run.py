"""A day's work without Airflow, and beside it."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
import typer

from reku.process.ownership import OUTSIDE_AIRFLOW, OwningRun, is_alive_outside_airflow, run_outside_airflow
from reku.store.tables import deliveries
from reku_testing import smtp
from reku_testing.bank_files import BANK, OCCASION, OTHER, deliver, order, people, put
from tests.cli.conftest import Reku
from tests.process.conftest import NOON, Move, relay

__all__ = ["relay"]


@pytest.fixture(autouse=True)
def arrived(database: sa.Engine, clock_at: Move) -> None:
    """Two banks have delivered, and nobody has looked yet; it is noon."""
    clock_at(NOON)
    for bank in (BANK, OTHER):
        order(bank)
        deliver(1, people(2), bank)


def _own(engine: sa.Engine, dag: str, run: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(deliveries).values(owner_dag=dag, owner_run=run))


def _endings(output: str) -> dict[str, str]:
    """Stage of the first item → how it ended."""
    told: list[dict[str, Any]] = json.loads(output)["stages"]
    first = next(row["of"] for row in told if row["of"])
    return {row["stage"]: row["ending"] for row in told if row["of"] == first}


def test_it_takes_in_mails_and_reports(relay: smtp.Sink, reku: Reku) -> None:
    done = reku("run", OCCASION)
    assert done.exit_code == 0
    assert done.stdout.count("export_feedback") == 2
    assert len(relay.recipients) == 4
    assert reku("run", OCCASION).stdout == "Nothing to do.\n"


def test_one_bank_only_and_a_past_day(relay: smtp.Sink, reku: Reku) -> None:
    assert reku("run", OCCASION, "--institute", OTHER, "--day", "2026-11-23").stdout == "Nothing to do.\n"
    assert reku("run", OCCASION, "--institute", OTHER).exit_code == 0
    assert len(relay.recipients) == 2


def test_what_has_to_wait_is_listed(clock_at: Move, relay: smtp.Sink, reku: Reku) -> None:
    reku("run", OCCASION, "--day", "2026-11-23")  # taken in only
    clock_at(datetime(2026, 11, 24, 2, 10, tzinfo=UTC))
    done = reku("run", OCCASION)
    assert done.exit_code == 0
    assert done.stdout.count("waiting until 24.11.2026 09:00 Berlin time: play-out time") == 1  # the other one at 09:30
    assert relay.recipients == []


def test_what_is_wrong_with_one_bank_is_told_and_holds_up_no_other(relay: smtp.Sink, reku: Reku) -> None:
    put(OTHER, "Kundenliste.xlsx", b"PK")
    done = reku("run", OCCASION)
    assert done.exit_code == 1
    assert f"(BLZ {OTHER}): no contract knows the names of 1 files" in done.stderr
    assert len(relay.recipients) == 4


def test_a_run_of_airflow_keeps_what_it_has_in_hand_unless_there_is_none(
    database: sa.Engine, relay: smtp.Sink, reku: Reku
) -> None:
    reku("run", OCCASION, "--day", "2026-11-23")  # taken in only
    _own(database, "reku_mcag002", "scheduled__2026-11-24")
    done = reku("run", OCCASION, "--json")
    assert _endings(done.stdout) == {"await_delivery": "skipped"}
    assert "in the hands of run scheduled__2026-11-24" in done.stdout
    assert relay.recipients == []
    assert reku("run", OCCASION, "--take-over").exit_code == 0
    assert len(relay.recipients) == 4


def test_another_one_beside_it_keeps_what_it_has_in_hand_until_it_ends(
    database: sa.Engine, relay: smtp.Sink, reku: Reku
) -> None:
    reku("run", OCCASION, "--day", "2026-11-23")  # taken in only
    with run_outside_airflow(database) as other:
        assert is_alive_outside_airflow(database, other)
        _own(database, other.dag, other.run)
        assert _endings(reku("run", OCCASION, "--take-over", "--json").stdout) == {"await_delivery": "skipped"}
    assert not is_alive_outside_airflow(database, other)
    assert reku("run", OCCASION).exit_code == 0
    assert len(relay.recipients) == 4


def test_nobody_lives_who_was_never_there(database: sa.Engine) -> None:
    assert not is_alive_outside_airflow(database, OwningRun(OUTSIDE_AIRFLOW, "4711"))


def test_ctrl_c_ends_the_waiting(clock_at: Move, relay: smtp.Sink, reku: Reku, monkeypatch: pytest.MonkeyPatch) -> None:
    clock_at(datetime(2026, 11, 24, 2, 10, tzinfo=UTC))
    before, say = signal.getsignal(signal.SIGINT), typer.echo

    def press(text: str, **how: Any) -> None:
        """Ctrl-C as soon as it says what it waits for."""
        say(text, **how)
        if text.startswith("waiting until"):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("reku.cli.run_day.typer.echo", press)
    monkeypatch.setattr("reku.dispatch.shutdown.request_shutdown", lambda: None)  # it would hold for later tests, too
    done = reku("run", OCCASION, "--wait")
    assert done.exit_code == 130
    assert "play-out time" in done.stdout
    assert relay.recipients == []
    assert signal.getsignal(signal.SIGINT) is before


def test_an_occasion_that_does_not_exist(reku: Reku) -> None:
    done = reku("run", "MCAG003X")
    assert done.exit_code == 1
    assert "Did you mean" in done.stderr
