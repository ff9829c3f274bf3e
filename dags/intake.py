"""An Airflow DAG that takes in what the banks have delivered: files are registered as they arrive."""

from datetime import timedelta

from reku.orchestration.factory import system_dag
from reku.orchestration.names import named
from reku.orchestration.system import BANK, INTAKE, ListBanks, TakeIn, Unclaimed

with system_dag(
    "reku_intake",
    "*/5 * * * *",
    title="Eingang von Steuerungsdateien und Lieferungen",
    doc=INTAKE,
    longest=timedelta(hours=1),
    runs=12,  # a bank whose server hangs keeps its own run open; the next ones leave it to that run and go on
):
    banks = ListBanks(**named("banks"), work="intake")
    TakeIn.partial(**named("take_in"), map_index_template=BANK).expand(institute=banks.output)
    Unclaimed(**named("unclaimed"))
