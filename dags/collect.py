"""An Airflow DAG that takes in what has come back: bounces, complaints, opens and clicks."""

from datetime import timedelta

from reku.orchestration.factory import system_dag
from reku.orchestration.system import COLLECT, CollectHits, CollectReturnMails

with system_dag(
    "reku_collect",
    title="Collecting what has come back",
    doc=COLLECT,
    cron="* * * * *",
    longest=timedelta(minutes=10),
):
    CollectReturnMails(task_id="return_mails")
    CollectHits(task_id="hits")
