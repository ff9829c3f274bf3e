"""Daily feedback at 22:00: one response file per institute with every event not yet reported."""

from datetime import timedelta

from airflow.sdk import DAG

from reku.orchestration.factory import DEFAULT_ARGS, START, system_schedule
from reku.orchestration.system import DailyFeedback, ListInstitutes

with DAG(
    "reku_feedback",
    dag_display_name="Daily feedback to the core-banking systems",
    doc_md=DailyFeedback.doc,
    schedule=system_schedule("0 22 * * *"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args=DEFAULT_ARGS,
    tags=["reku", "kind:system"],
    is_paused_upon_creation=False,
):
    institutes = ListInstitutes(task_id="institutes")
    DailyFeedback.partial(task_id="daily_feedback", map_index_template="{{ task.institute }}").expand(
        institute=institutes.output
    )
