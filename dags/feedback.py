"""Daily feedback at 22:00: one response file per bank with every event not yet reported. An Airflow DAG."""

from datetime import timedelta

from reku.orchestration.assets import RESPONSE_FILES
from reku.orchestration.factory import system_dag
from reku.orchestration.names import named
from reku.orchestration.system import BANK, DAILY_FEEDBACK, DailyFeedback, ListBanks

with system_dag(
    "reku_feedback",
    "0 22 * * *",
    title="Tägliche Rückmeldungen",
    doc=DAILY_FEEDBACK,
    longest=timedelta(hours=6),
):
    banks = ListBanks(**named("banks"), work="feedback")
    DailyFeedback.partial(**named("daily_feedback"), map_index_template=BANK, outlets=[RESPONSE_FILES]).expand(
        institute=banks.output
    )
