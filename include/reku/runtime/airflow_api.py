"""The few calls of Airflow's REST API that an operator's work consists of: trigger, look, clear."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import httpx

from reku.foundation.errors import RekuError
from reku.runtime.airflow import ADMINISTRATOR

ENDED = ("success", "failed")


class AirflowApi:
    """Airflow on this machine. A call is repeated while the server restarts; see `PATIENCE`."""

    PATIENCE = 120.0
    """Seconds to wait for a server that does not answer: the supervisor starts it again within that time."""

    def __init__(self, address: str, password: str) -> None:
        self._login = {"username": ADMINISTRATOR, "password": password}
        self._http = httpx.Client(base_url=address, timeout=30, trust_env=False)

    def known(self, dag: str) -> bool:
        """Whether the dag-processor has read this DAG and it may run."""
        answer = self._call("GET", f"/api/v2/dags/{dag}", accept=(404,))
        return answer.status_code == 200 and not answer.json()["is_paused"]

    def trigger(self, dag: str, run: str, *, day: str | None = None) -> None:
        """Start a manual run with this id; one that exists already is left alone."""
        body = {"dag_run_id": run, "logical_date": None, "conf": {"day": day} if day else {}}
        self._call("POST", f"/api/v2/dags/{dag}/dagRuns", body=body, accept=(409,))

    def state(self, dag: str, run: str) -> str:
        """State of a run: queued, running, success or failed."""
        return str(self._call("GET", f"/api/v2/dags/{dag}/dagRuns/{run}").json()["state"])

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        """All task instances of a run; the server hands out so many at once as its settings allow."""
        found: list[dict[str, Any]] = []
        while True:
            path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances?limit=1000&offset={len(found)}"
            answer = self._call("GET", path).json()
            found += answer["task_instances"]
            if not answer["task_instances"] or len(found) >= answer["total_entries"]:
                return found

    def is_at_work(self, but: Collection[str]) -> bool:
        """Whether any run but those of some DAGs has not ended."""
        answer = self._call("GET", "/api/v2/dags/~/dagRuns?state=queued&state=running&limit=100").json()
        return any(run["dag_id"] not in but for run in answer["dag_runs"])

    def clear_failed(self, dag: str, run: str) -> None:
        """Clear what failed in a run, as an operator would, and let it go on."""
        body = {
            "dry_run": False,
            "dag_run_id": run,
            "only_failed": True,
            "reset_dag_runs": True,
            "include_downstream": True,
        }
        self._call("POST", f"/api/v2/dags/{dag}/clearTaskInstances", body=body)

    def _call(self, method: str, path: str, *, body: Any = None, accept: tuple[int, ...] = ()) -> httpx.Response:
        begun = time.monotonic()
        while True:
            try:
                if "Authorization" not in self._http.headers:
                    token = self._http.post("/auth/token", json=self._login).raise_for_status().json()["access_token"]
                    self._http.headers["Authorization"] = f"Bearer {token}"
                answer = self._http.request(method, path, json=body)
                if answer.status_code == 401:
                    del self._http.headers["Authorization"]
                if answer.is_success or answer.status_code in accept:
                    return answer
                problem = f"{answer.status_code} {answer.text[:200]}"
                lasting = answer.status_code < 500 and answer.status_code != 401
            except httpx.HTTPError as error:
                problem, lasting = type(error).__name__, False
            if lasting or time.monotonic() - begun > self.PATIENCE:
                raise RekuError(f"Airflow does not do {method} {path}: {problem}.")
            time.sleep(1)
