"""Whole occasion DAGs in this process, on Airflow's own metadata tables in the tests' PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from reku.runtime.postgres import Postgres
from reku_testing import airflow_home
from reku_testing.serving import served
from tests.conftest import PROJECT
from tests.process.conftest import one_bank_asks_first, relay, two_deliveries

__all__ = ["one_bank_asks_first", "relay", "two_deliveries"]


@pytest.fixture(scope="session")
def airflow_metadata(postgres: Postgres) -> Iterator[None]:
    """Airflow's own tables. Its settings are read at the first import, so the address is set before."""
    assert airflow_home.HOME.is_dir()
    postgres.create_database("airflow_tests")
    url = postgres.url("airflow_tests").replace("+psycopg:", "+psycopg2:")
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = url
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"] = postgres.url("airflow_tests")
    from airflow import settings as airflow_settings
    from airflow.utils.db import initdb

    airflow_settings.SQL_ALCHEMY_CONN = url
    airflow_settings.configure_orm()
    initdb()
    yield
    airflow_settings.dispose_orm()  # before its server goes


@pytest.fixture
def run_dag(airflow_metadata: None, database: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run one of our DAGs for a day and return its run: `run_dag("reku_mcag002", day="2026-11-24")`.

    Mapped tasks run in the order of their index. `dag.test` takes them out of a set, so by address in memory, and waits
    in this very process for a deferred one: index 1, waiting for index 0 to load first, would wait for ever. Nothing
    watches over its tasks either, so a deferral may be as short as it is.
    """
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.models.taskinstance import TaskInstance
    from airflow.serialization.serialized_objects import LazyDeserializedDAG, SerializedDAG
    from airflow.utils.session import create_session

    monkeypatch.setattr("reku.orchestration.triggers.SHORTEST_WAIT", timedelta())
    monkeypatch.setattr(TaskInstance, "__hash__", lambda ti: ti.map_index + 1)
    bag = DagBag(PROJECT / "dags")
    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)

    def run(dag_id: str, day: str | None = None, logical_date: datetime | None = None) -> Any:
        dag = bag.dags[dag_id]
        for task in dag.tasks:
            task.retries = 0  # a failure shall show at once
        with create_session() as session:
            lazy = LazyDeserializedDAG.from_dag(dag)
            SerializedDAG.bulk_write_to_db("dags-folder", None, [lazy], session=session)
            SerializedDagModel.write_dag(lazy, bundle_name="dags-folder", session=session)
        return dag.test(run_conf={"day": day} if day else None, logical_date=logical_date)

    return run


@pytest.fixture(scope="session")
def airflow_server(airflow_metadata: None) -> Iterator[Any]:
    """Airflow's whole server in this process, with our plugin as it loads it: a client that is not logged in."""
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from starlette.testclient import TestClient

    yield TestClient(create_app(apps="core"), follow_redirects=False)
    purge_cached_app()


@pytest.fixture(scope="session")
def airflow_address(airflow_server: Any) -> Iterator[str]:
    """The same server on a port, for a browser."""
    with served(airflow_server.app) as address:
        yield address


@pytest.fixture
def token_of(airflow_server: Any) -> Callable[..., str]:
    """A token as Airflow gives it to a person who logs in: `token_of("viewer")`."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    def token(role: str | None) -> str:
        made: str = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="operator", role=role))
        return made

    return token
