"""Housekeeping: what is kept for a time only is removed every hour. An Airflow DAG."""

from datetime import timedelta

from reku.orchestration.factory import system_dag
from reku.orchestration.names import named
from reku.orchestration.system import HOUSEKEEPING, ApplyRetention, RemoveReports

with system_dag("reku_housekeeping", "30 * * * *", title="Aufräumen", doc=HOUSEKEEPING, longest=timedelta(hours=6)):
    RemoveReports(**named("remove_reports"))
    ApplyRetention(**named("apply_retention"))
