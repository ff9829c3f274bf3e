"""The domain's figures arrive at an OpenTelemetry receiver (OTLP over HTTP), by what Airflow itself brings for it."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reku_testing.serving import served

_REPORT = """
from datetime import timedelta
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
from opentelemetry import metrics
from reku.orchestration.gauges import report_figures, timed
from reku.store.kinds import EventKind
from reku.views.day_figures import DayFigures, EventCount

stats.initialize(factory=get_stats_factory(), export_legacy_names=True)
sent = EventCount("99990001", EventKind.SENT, "", 7)
report_figures(DayFigures((sent,), {"PARKED": 2}, 1, 3, {"hits": timedelta(seconds=90)}))
with timed("dispatch"):
    pass
metrics.get_meter_provider().force_flush()
"""


def test_gauges_and_timings_arrive(tmp_path: Path) -> None:
    """In a process of its own: OpenTelemetry keeps one provider, and a thread, for as long as a process lives."""
    found: dict[str, float] = {}

    async def take(request: Request) -> Response:
        body = await request.body()
        body = gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body
        for of_resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in (metric for scope in of_resource.scope_metrics for metric in scope.metrics):
                for point in metric.gauge.data_points:
                    found[metric.name] = point.as_double or point.as_int
                for timing in (*metric.histogram.data_points, *metric.exponential_histogram.data_points):
                    found[metric.name] = timing.count
        return Response(ExportMetricsServiceResponse().SerializeToString(), media_type="application/x-protobuf")

    with served(Starlette(routes=[Route("/v1/metrics", take, methods=["POST"])])) as address:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW__", "OTEL_"))}
        done = subprocess.run(
            [sys.executable, "-P", "-c", _REPORT],
            env=environment
            | {
                "AIRFLOW_HOME": str(tmp_path),
                "AIRFLOW__METRICS__OTEL_ON": "True",
                "OTEL_EXPORTER_OTLP_ENDPOINT": address,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    ours = {name.partition("reku.")[2]: value for name, value in found.items() if "reku." in name}
    assert ours["today.sent"] == 7
    assert ours["deliveries.parked"] == 2
    assert ours["deliveries.asked"] == 1
    assert ours["messages.in_doubt"] == 3
    assert ours["collected_ago.hits"] == 90
    assert ours["stage.dispatch"] == 1
