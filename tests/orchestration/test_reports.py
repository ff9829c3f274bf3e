"""The report beside a task's work: one click away however the task ended, and never in a delivery's way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from reku.orchestration.reports import ReportLink, address, logged_address
from reku.release.report import find_report, write_report, write_report_or_warn
from reku.store.states import DeliveryState
from reku.store.tables import releases
from reku_testing import bank_files, smtp, world
from reku_testing.by_blz import take_in_all
from tests.orchestration import test_chain as chain
from tests.orchestration import test_release as release

pytestmark = pytest.mark.airflow

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
Move = Callable[[datetime], None]
Run = Callable[..., Any]


@pytest.fixture
def api(airflow_server: Any, token_of: Callable[..., str]) -> Iterator[Any]:
    """Airflow's server as a logged-in person sees it."""
    airflow_server.cookies.set("_token", token_of("viewer"))
    yield airflow_server
    airflow_server.cookies.clear()


def link_of(api: Any, run: Any, task: str, index: int = 0) -> str | None:
    """Where the button of a task leads, as Airflow's pages ask for it."""
    answer = api.get(
        f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/delivery.{task}/links",
        params={"map_index": index},
    )
    assert answer.status_code == 200, answer.text
    link: str | None = answer.json()["extra_links"][ReportLink.name]
    return link


def test_one_click_from_the_task_to_the_report_of_its_delivery(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run, api: Any
) -> None:
    clock_at(NOON)
    for bank in (bank_files.BANK, bank_files.OTHER):
        bank_files.order(bank)
        bank_files.deliver(1, bank_files.people(3), bank)
    take_in_all(database)
    run = run_dag(chain.DAG, day="2026-11-24")
    assert run.state == "success"
    for task in ("validate", "release"):
        links = [link_of(api, run, task, index) for index in (0, 1)]
        assert links == ["/reku/reports/1", "/reku/reports/2"]
    for link, bank in zip(links, ("Musterstadt", "99990002"), strict=True):
        page = api.get(link)
        assert page.status_code == 200
        assert bank in page.text
    assert "unauffällig, ohne Rückfrage" in page.text  # it knows of the release as well


def test_a_refused_delivery_has_its_report_too(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, run_dag: Run, api: Any
) -> None:
    clock_at(NOON)
    bank_files.order()
    bank_files.deliver(1, bank_files.people(3, EMail="no address"))
    take_in_all(database)
    run = run_dag(chain.DAG, day="2026-11-24")
    assert chain.states_of(run)["delivery.validate[0]"] == "failed"
    link = link_of(api, run, "validate")
    assert link == "/reku/reports/1"
    page = api.get(link).text
    assert "Als Ganzes abgelehnt" in page
    assert "gültige Mailadresse angeben" in page
    assert "no address" not in page


class Onlooker(release.Person):
    """A person who answers only once the button is there: while the task waits for the answer."""

    PATIENCE = 300
    """Looks; then the answer comes all the same and the test fails."""

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.link, self._looks = "", 0

    def _look(self) -> None:
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.xcom import XComModel

        with self._metadata.connect() as connection:
            found = connection.scalar(
                sa.select(XComModel.value)
                .join(
                    TaskInstance,
                    (TaskInstance.run_id == XComModel.run_id) & (TaskInstance.task_id == XComModel.task_id),
                )
                .where(TaskInstance.state == "awaiting_input", XComModel.map_index == TaskInstance.map_index)
                .where(XComModel.key == ReportLink().xcom_key)
            )
            waits = connection.scalar(sa.select(sa.exists().where(TaskInstance.state == "awaiting_input")))
        self._looks += bool(waits)
        self.link = self.link or found or ""
        if self.link or self._looks > self.PATIENCE:
            super()._look()


@pytest.mark.usefixtures("two_deliveries")
def test_whoever_is_asked_has_the_link_and_whoever_looks_later_sees_the_answer(
    database: sa.Engine, run_dag: Run, api: Any
) -> None:
    someone = Onlooker(release.DECLINE)
    someone.start()
    run = run_dag(chain.DAG, day="2026-11-24")
    someone.stop()
    with database.connect() as connection:
        asked_about = connection.scalar(sa.select(releases.c.delivery_id).where(releases.c.decision == "DECLINED"))
    assert someone.link == f"/reku/reports/{asked_about}"
    assert f"]({someone.link})" in someone.questions[0][1]
    assert link_of(api, run, "release") == someone.link
    page = api.get(someone.link).text
    assert "Freigabe verweigert" in page
    assert "Anna Aufsicht" not in page


def test_what_went_wrong_is_said_without_the_values_of_a_database(
    database: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        write_report_or_warn(database, 4711)
    assert "The report of delivery 4711 could not be made (There is no delivery 4711." in caplog.text
    caplog.clear()
    away = sa.create_engine("postgresql+psycopg://somebody@127.0.0.1:1/secret")
    with caplog.at_level(logging.WARNING):
        write_report_or_warn(away, 1)
    assert "(OperationalError)" in caplog.text
    assert "secret" not in caplog.text
    assert "Traceback" not in caplog.text


def test_the_log_has_the_link(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.bank.example/orchestration/")
    delivery = world.delivery(database, world.order(database), state=DeliveryState.VALIDATED)
    with caplog.at_level(logging.INFO), logged_address(lambda: delivery):
        write_report(database, delivery)
    assert f"https://airflow.bank.example/orchestration/reku/reports/{delivery}" in caplog.text


def test_the_address_stands_below_airflows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.bank.example/orchestration/")
    assert address(17) == "/orchestration/reku/reports/17"
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:8080")
    assert address(17) == "/reku/reports/17"


def test_housekeeping_removes_old_reports(database: sa.Engine, clock_at: Move, run_dag: Run) -> None:
    clock_at(NOON)
    delivery = world.delivery(database, world.order(database), state=DeliveryState.VALIDATED)
    write_report(database, delivery)
    clock_at(NOON + timedelta(days=90) - timedelta(minutes=5))
    assert run_dag("reku_housekeeping").state == "success"
    assert find_report(delivery) is not None
    clock_at(NOON + timedelta(days=90, minutes=5))
    assert run_dag("reku_housekeeping").state == "success"
    assert find_report(delivery) is None
