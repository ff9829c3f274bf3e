"""Daily feedback at 22:00: one response file per bank with every event not yet reported. An Airflow DAG."""

from datetime import timedelta

from reku.orchestration.factory import system_dag
from reku.orchestration.system import DAILY_FEEDBACK, DailyFeedback, ListBanks

with system_dag(
    "reku_feedback",
    title="Daily feedback to the core-banking systems",
    doc=DAILY_FEEDBACK,
    cron="0 22 * * *",
    longest=timedelta(hours=6),
):
    banks = ListBanks(task_id="banks", work="feedback")
    DailyFeedback.partial(task_id="daily_feedback", map_index_template="{{ task.institute }}").expand(
        institute=banks.output
    )
