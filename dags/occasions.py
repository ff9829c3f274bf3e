"""One Airflow DAG per file in include/occasions (Airflow only reads files that name it and DAGs)."""

from itertools import groupby

from reku.catalogue import scan_occasions
from reku.orchestration.factory import broken_dag, occasion_dag

occasions, faults = scan_occasions()

for occasion in occasions.values():
    occasion_dag(occasion)

for file, found in groupby(faults, key=lambda fault: fault.file):
    broken_dag(file.stem, found)
