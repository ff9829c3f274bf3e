"""An Airflow DAG that takes in what has come back: bounces, complaints, opens and clicks."""

from datetime import timedelta

from reku.orchestration.factory import system_dag
from reku.orchestration.names import named
from reku.orchestration.system import COLLECT, CollectHits, CollectReturnMails

with system_dag(
    "reku_collect",
    "* * * * *",
    title="Rückläufer, Öffnungen und Klicks",
    doc=COLLECT,
    longest=timedelta(minutes=10),
):
    CollectReturnMails(**named("return_mails"))
    CollectHits(**named("hits"))
