"""An Airflow DAG that looks after the EMMA accounts of banks: bars, imports, what came back."""

from datetime import timedelta

from reku.orchestration.emma_account import EMMA, LookAfterEmma
from reku.orchestration.factory import system_dag
from reku.orchestration.names import named
from reku.orchestration.system import BANK, ListBanks

with system_dag(
    "reku_emma",
    "*/10 * * * *",
    title="EMMA-Konten",
    doc=EMMA,
    longest=timedelta(hours=2),
    runs=2,  # an account that does not answer keeps its own run open; the next one goes on with the others
):
    banks = ListBanks(**named("emma_banks"), work="emma")
    LookAfterEmma.partial(**named("look_after_emma"), map_index_template=BANK).expand(institute=banks.output)
