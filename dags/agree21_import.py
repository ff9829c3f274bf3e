"""An Airflow DAG that takes in the data of the banks whose people we select: customers, holdings, appointments …"""

from datetime import timedelta

from reku.orchestration.factory import system_dag
from reku.orchestration.names import named
from reku.orchestration.system import BANK, DATA_IMPORT, ImportData, ListBanks

with system_dag(
    "reku_agree21_import",
    "30-50/10 3 * * *",
    "*/10 4-11 * * *",
    "0 12 * * *",  # the last one forgets addresses; no bank may keep them for longer
    title="Daten der Genossenschaftsbanken",
    doc=DATA_IMPORT,
    longest=timedelta(hours=2),
    runs=4,  # a bank whose server hangs keeps its own run open; the next ones leave it to that run and go on
):
    banks = ListBanks(**named("data_banks"), work="data")
    ImportData.partial(**named("import_data"), map_index_template=BANK).expand(institute=banks.output)
