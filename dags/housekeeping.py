"""Housekeeping: what is kept for a time only is removed every hour."""

from datetime import timedelta

from airflow.sdk import DAG

from reku.orchestration.factory import DEFAULT_ARGS, START, system_schedule
from reku.orchestration.system import HOUSEKEEPING, ApplyRetention, RemoveReports

with DAG(
    "reku_housekeeping",
    dag_display_name="Housekeeping",
    doc_md=HOUSEKEEPING,
    schedule=system_schedule("30 * * * *"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args=DEFAULT_ARGS,
    tags=["reku", "kind:system"],
    is_paused_upon_creation=False,
):
    RemoveReports(task_id="remove_reports")
    ApplyRetention(task_id="apply_retention")
