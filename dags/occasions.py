"""One Airflow DAG per file in include/occasions (Airflow only reads files that name it and DAGs)."""

from itertools import groupby

from airflow.sdk import get_parsing_context

from reku.catalogue import bank_names, scan_occasions
from reku.orchestration.factory import broken_dag, occasion_dag
from reku.orchestration.names import dag_id

occasions, faults = scan_occasions()
banks = bank_names()
wanted = get_parsing_context().dag_id  # set where a task starts: it needs its own DAG only

for occasion in occasions.values():
    if wanted in (None, dag_id(occasion.code)):
        occasion_dag(occasion, banks)

for file, found in groupby(faults, key=lambda fault: fault.file):
    broken_dag(file.stem, found)
