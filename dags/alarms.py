"""An Airflow DAG that tells people what needs them, and a watcher that all is alive."""

from datetime import timedelta

from reku.orchestration.factory import system_dag
from reku.orchestration.system import ALARMS, RaiseAlarms, SendHeartbeat

with system_dag(
    "reku_alarms",
    title="Alarms",
    doc=ALARMS,
    cron="*/5 * * * *",
    longest=timedelta(minutes=10),
):
    RaiseAlarms(task_id="alarms")
    SendHeartbeat(task_id="heartbeat")
