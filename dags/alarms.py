"""An Airflow DAG that tells people what needs them, and a watcher that all is alive."""

from datetime import timedelta

from reku.orchestration.factory import system_dag
from reku.orchestration.names import named
from reku.orchestration.system import ALARMS, RaiseAlarms, ReportFigures, SendHeartbeat

with system_dag(
    "reku_alarms",
    "*/5 * * * *",
    title="Alarme",
    doc=ALARMS,
    longest=timedelta(minutes=10),
):
    RaiseAlarms(**named("alarms"))
    SendHeartbeat(**named("heartbeat"))
    ReportFigures(**named("metrics"))
