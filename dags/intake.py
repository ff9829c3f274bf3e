"""An Airflow DAG that takes in what the banks have delivered: files are registered as they arrive."""

from datetime import timedelta

from reku.orchestration.factory import system_dag
from reku.orchestration.system import TakeIn

with system_dag(
    "reku_intake",
    title="Intake of control files and deliveries",
    doc=TakeIn.doc,
    cron="*/5 * * * *",
    longest=timedelta(hours=1),
):
    TakeIn(task_id="take_in")
