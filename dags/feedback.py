"""Daily feedback at 22:00: one response file per institute with every event not yet reported. An Airflow DAG."""

from datetime import timedelta

from reku.orchestration.factory import system_dag
from reku.orchestration.system import DailyFeedback, ListInstitutes

with system_dag(
    "reku_feedback",
    title="Daily feedback to the core-banking systems",
    doc=DailyFeedback.doc,
    cron="0 22 * * *",
    longest=timedelta(hours=6),
):
    institutes = ListInstitutes(task_id="institutes")
    DailyFeedback.partial(task_id="daily_feedback", map_index_template="{{ task.institute }}").expand(
        institute=institutes.output
    )
