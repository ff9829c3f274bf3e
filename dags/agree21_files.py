"""An Airflow DAG that prepares the files of the day for the banks whose people we select: the state for agree21BAP …"""

from datetime import timedelta

from reku.orchestration.factory import system_dag
from reku.orchestration.names import named
from reku.orchestration.system import BANK, DAILY_FILES, DailyFiles, ListBanks

with system_dag(
    "reku_agree21_files",
    "*/10 4-12 * * *",  # when the day's selections are done, at 08:00 at the latest; later for data that came late
    title="Tagesdateien der Genossenschaftsbanken",
    doc=DAILY_FILES,
    longest=timedelta(hours=2),
):
    banks = ListBanks(**named("data_banks"), work="data")
    DailyFiles.partial(**named("daily_files"), map_index_template=BANK).expand(institute=banks.output)
