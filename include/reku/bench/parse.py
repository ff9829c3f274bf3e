"""Stage "parse": our DAGs against sixty bare generated ones (dags/ must take at most twice their time)."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from reku.foundation.errors import SetupError
from reku.foundation.settings import INCLUDE

BARE_DAGS = 60
AT_LEAST = 0.5

_BARE = f'''"""Bare generated DAGs of an occasion's shape: plain tasks, one mapped group, nothing of ours."""

from airflow.sdk import DAG, BaseOperator, CronTriggerTimetable, task_group


class Plain(BaseOperator):
    template_fields = ("item",)

    def __init__(self, *, item=None, **kwargs):
        super().__init__(**kwargs)
        self.item = item

    def execute(self, context):
        return None


GROUP = ("await_delivery", "validate", "release", "upsert_subscribers", "dispatch", "collect_responses", "export")

for number in range({BARE_DAGS}):
    timetable = CronTriggerTimetable(f"{{number % 45}} 3 * * *", timezone="Europe/Berlin")
    with DAG(f"bare_{{number:02d}}", schedule=timetable):
        first, due_work = Plain(task_id="await_control_file"), Plain(task_id="due_work")

        @task_group(group_id="delivery")
        def delivery(item):
            tasks = [Plain(task_id=name, item=item) for name in GROUP]
            for before, after in zip(tasks, tasks[1:]):
                before >> after
            return tasks[-1]

        first >> due_work >> delivery.expand(item=due_work.output) >> Plain(task_id="report")
'''


def measure(rounds: int) -> dict[str, Any]:
    """The figure of this stage. Each round parses both folders, each in a new process, in turns.

    Raises SetupError if one of them cannot be parsed.
    """
    with tempfile.TemporaryDirectory(prefix="reku-bench-") as folder:
        bare = Path(folder, "bare")
        bare.mkdir()
        (bare / "bare.py").write_text(_BARE, encoding="utf-8")
        home = Path(folder, "airflow")
        ours = INCLUDE.parent / "dags"
        _once(home, bare)  # writes Airflow's configuration, and every byte code there is
        dags, _ = _once(home, ours)
        times: dict[Path, list[float]] = {ours: [], bare: []}
        for number in range(rounds):
            for dag_folder in (ours, bare) if number % 2 else (bare, ours):
                times[dag_folder].append(_once(home, dag_folder)[1])
    seconds, against = statistics.median(times[ours]), statistics.median(times[bare])
    return {
        "stage": "parse",
        "what": f"{dags} DAGs",
        "against": f"{BARE_DAGS} bare generated DAGs",
        "ratio": round(against / seconds, 2),
        "at_least": AT_LEAST,
        "rounds": rounds,
        "rows": dags,
    }


def _once(home: Path, folder: Path) -> tuple[int, float]:
    """Parse a folder in a process of its own: how many DAGs there were, and the seconds."""
    passed_on = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "REKU_", "PYTHONDONTWRITEBYTECODE"))
    }
    done = subprocess.run(  # noqa: S603 - our own program
        (sys.executable, "-P", "-m", "reku.bench.parse_once", str(folder)),
        env=passed_on
        | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise SetupError(f"The DAGs of {folder} could not be parsed: {said[-1] if said else 'no reason given'}")
    measured = json.loads(done.stdout.splitlines()[-1])
    return measured["dags"], measured["seconds"]
