"""The domain's figures arrive at a StatsD server, by the very client that Airflow's settings name."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

from reku.orchestration.gauges import gauges, report_figures, timed
from reku.store.kinds import EventKind
from reku.store.tables import collections, responses
from reku.views.day_figures import DayFigures, day_figures
from reku_testing import (
    airflow_home,  # noqa: F401 - before Airflow: sets its home
    world,
)
from tests.conftest import PROJECT

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 23, 23, tzinfo=UTC)


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], dict[str, str]]]:
    """What a StatsD server was sent, by name: `airflow.reku.today.sent` → `3|g`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.2)
        host, port = server.getsockname()
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", host)
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(port))
        stats.initialize(factory=get_stats_factory(), export_legacy_names=True)

        def read() -> dict[str, str]:
            found = {}
            while True:
                try:
                    name, _, value = server.recv(1024).decode().partition(":")
                except TimeoutError:
                    return found
                found[name] = value

        yield read
    monkeypatch.undo()
    stats.initialize(factory=get_stats_factory(), export_legacy_names=True)


@pytest.fixture
def figures(database: sa.Engine, clock_at: Callable[[datetime], None]) -> DayFigures:
    """Two sent, one withheld, one hard bounce today; one sent in the last minute of yesterday; two deliveries wait."""
    clock_at(NOON)
    order = world.order(database)
    delivery = world.delivery(database, order, state="LOADED")
    happened: list[tuple[EventKind, str, datetime]] = [
        (EventKind.SENT, "", MIDNIGHT),
        (EventKind.SENT, "", NOON),
        (EventKind.NOT_SENT, "SPERRZEIT", NOON),
        (EventKind.BOUNCED_HARD, "", NOON),
        (EventKind.SENT, "", MIDNIGHT - timedelta(minutes=1)),
    ]
    rows = world.rows(database, delivery, [world.reku_fields(number) for number in range(1, 6)])
    with database.begin() as connection:
        for row, (kind, reason, moment) in zip(rows, happened, strict=True):
            message = world.message(database, row, state="IN_DOUBT" if kind is EventKind.BOUNCED_HARD else "SENT")
            values = {"institute": world.BLZ, "message_id": message, "order_id": order, "kind": kind, "at": moment}
            connection.execute(sa.insert(responses).values(values | {"reason": reason, "recorded_at": moment}))
        looked = {"source": "hits", "complete_at": NOON - timedelta(seconds=90)}
        connection.execute(sa.insert(collections).values(looked))
    world.delivery(database, order, 18, state="PARKED")
    world.delivery(database, order, 19, state="VALIDATED")
    return day_figures(database)


def test_figures_arrive_at_a_statsd_server(figures: DayFigures, received: Callable[[], dict[str, str]]) -> None:
    count = report_figures(figures)
    found = received()
    assert len(found) == count > 30
    told = {name: float(value.removesuffix("|g")) for name, value in found.items()}
    assert {name.removeprefix("airflow.reku."): value for name, value in told.items() if value} == {
        "today.sent": 2,
        "today.not_sent": 1,
        "today.withheld.sperrzeit": 1,
        "today.bounced_hard": 1,
        "deliveries.parked": 1,
        "deliveries.validated": 1,
        "messages.in_doubt": 1,
        "collected_ago.hits": pytest.approx(90, abs=60),
    }
    assert all(re.fullmatch(r"airflow\.reku(\.[a-z_0-9]+)+", name) for name in told), "no bank, no person"


def test_a_stage_is_timed_however_it_ends(received: Callable[[], dict[str, str]]) -> None:
    with pytest.raises(ValueError, match="x"), timed("dispatch"):
        raise ValueError("x")
    ((name, value),) = received().items()
    assert name == "airflow.reku.stage.dispatch"
    assert value.endswith("|ms")


def test_the_dashboard_shows_what_there_is(figures: DayFigures) -> None:
    dashboard: dict[str, Any] = json.loads((PROJECT / "docs" / "grafana.json").read_text(encoding="utf-8"))
    names = [*gauges(figures), "reku.collected_ago.return_mails"]
    known = {f"airflow_{name.replace('.', '_')}" for name in names}
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = {name for expr in shown for name in re.findall(r"\bairflow_reku_\w+\b(?!\.)", expr)}
    assert named - known <= {"airflow_reku_today_withheld_", "airflow_reku_stage_"}
    assert len(named & known) > 10
