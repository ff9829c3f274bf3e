"""A cooperative bank's day on Airflow: no clear number and no address in its tables, its logs, or on a page of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute

from reku.foundation import clock
from reku.store import tables
from reku_testing import airflow_home
from reku_testing.smtp import Sink
from tests.privacy.searching import in_tables
from tests.privacy.test_leaks import CONTRACT, MARK, NUMBERS, SECRETS, customer, places
from tests.process.test_selection_chain import BORN, TODAY, bank
from tests.sources.agree21.conftest import CoopBank, holding, person

__all__ = ["bank"]  # a fixture

pytestmark = pytest.mark.airflow


def pages(server: Any, token: str, delivery: int) -> dict[str, str]:
    """Every page of ours that can be looked at, by its address."""
    from reku.orchestration.pages.app import app

    server.cookies.set("_token", token)
    wanted = {route.path for route in app.routes if isinstance(route, APIRoute) and "GET" in route.methods}
    addresses = sorted(f"/reku{path.replace('{delivery}', str(delivery))}" for path in wanted)
    return {address: server.get(address).text for address in addresses}


def test_nothing_lies_in_clear_in_airflow(
    database: sa.Engine,
    bank: CoopBank,
    relay: Sink,
    clock_at: Callable[[datetime], None],
    run_dag: Callable[..., Any],
    airflow_server: Any,
    token_of: Callable[..., str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Tasks that succeed, one that fails, what they hand on, and the pages that tell of it."""
    caplog.set_level(logging.DEBUG, logger="reku")
    people = [customer(0, Geburtsdatum=BORN), customer(1), *(person(n) for n in range(10, 40))]
    bank.put("IDA_KUNDEN", [*people, customer(2, Geburtsdatum="1976-02-14")], clock.at(TODAY, 4, 10))
    bank.put("IDA_BESTAND", [holding(1, 1, Vertragsnummer=CONTRACT, Personennummer=NUMBERS[0])], clock.at(TODAY, 4, 12))
    assert run_dag("reku_agree21_import").state == "success"
    refused = bank.put("IDA_KUNDEN", [customer(3)], clock.at(TODAY, 4, 20))
    assert run_dag("reku_agree21_import").state == "failed"
    clock_at(clock.at(TODAY, 11))
    assert run_dag("reku_mcag002", day=f"{TODAY}").state == "success"
    assert relay.recipients == [f"post{MARK}0@kunde.example"]
    with database.connect() as connection:
        delivery = connection.execute(sa.select(tables.deliveries.c.id)).scalar_one()
    shown = pages(airflow_server, token_of("admin"), delivery)
    assert "K2026-014" in shown[f"/reku/reports/{delivery}"], "the report is there"
    assert "SCHRUMPFUNG" in shown["/reku/today"], "the page of today tells of the file that was refused"
    assert [address for address, page in shown.items() if any(word in page for word in SECRETS)] == []
    url = database.url.set(database="airflow_tests")
    metadata = sa.create_engine(url)
    assert {"xcom", "dag_run", "task_instance"} <= in_tables(metadata, ["mcag002"], "public")["mcag002"]
    assert {word: found for word, found in in_tables(metadata, SECRETS, "public").items() if found} == {}
    metadata.dispose()
    logs = [
        file
        for file in airflow_home.HOME.rglob("*")
        if file.is_file() and any(w.encode() in file.read_bytes() for w in SECRETS)
    ]
    assert logs == []
    kept = places(database, SECRETS, caplog.text)
    assert {place.rpartition("/")[2] for place in kept} == {refused}, (
        "what was refused is kept for 36 hours, and nothing else"
    )
