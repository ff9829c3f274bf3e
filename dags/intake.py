"""Takes in what the banks have delivered: control files and deliveries are registered as they arrive."""

from datetime import timedelta

from airflow.sdk import DAG

from reku.orchestration.factory import DEFAULT_ARGS, START, system_schedule
from reku.orchestration.system import TakeIn

with DAG(
    "reku_intake",
    dag_display_name="Intake of control files and deliveries",
    doc_md=TakeIn.doc,
    schedule=system_schedule("*/5 * * * *"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args=DEFAULT_ARGS,
    tags=["reku", "kind:system"],
    is_paused_upon_creation=False,
):
    TakeIn(task_id="take_in")
