"""An Airflow DAG that takes in what the banks have delivered: files are registered as they arrive."""

from datetime import timedelta

from reku.orchestration.factory import system_dag
from reku.orchestration.system import INTAKE, ListBanks, TakeIn, Unclaimed

with system_dag(
    "reku_intake",
    title="Intake of control files and deliveries",
    doc=INTAKE,
    cron="*/5 * * * *",
    longest=timedelta(hours=1),
    runs=12,  # a bank whose server hangs keeps its own run open; the next ones leave it to that run and go on
):
    banks = ListBanks(task_id="banks", work="intake")
    TakeIn.partial(task_id="take_in", map_index_template="{{ task.institute }}").expand(institute=banks.output)
    Unclaimed(task_id="unclaimed")
