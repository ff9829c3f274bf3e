"""Parse one folder of DAGs and print how long it took: `python -m reku.bench.parse_once FOLDER`.

A process of its own for each time, since a second parse in one process would find every module loaded. What Airflow
itself loads is loaded before the clock starts, so that both sides of the benchmark pay only for their own.
"""

from __future__ import annotations

import json
import sys
import time

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, BaseOperator, CronTriggerTimetable, Param, task, task_group

WARM = (DAG, BaseOperator, CronTriggerTimetable, Param, task, task_group)  # loaded lazily by airflow.sdk, so named here


def main(folder: str) -> None:
    """Parse and print one JSON object. Exits with a sentence if a file has an error or there is no DAG."""
    begun = time.perf_counter()
    bag = DagBag(folder)
    seconds = time.perf_counter() - begun
    if bag.import_errors or not bag.dags:
        sys.exit(
            " ".join(f"{file}: {error.strip().splitlines()[-1]}" for file, error in bag.import_errors.items()) or "none"
        )
    print(json.dumps({"dags": len(bag.dags), "seconds": seconds}))  # noqa: T201 - read by `parse`


if __name__ == "__main__":
    main(sys.argv[1])
