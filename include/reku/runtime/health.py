"""Is what we started up, and is it really ours that answers?

A check takes the moment at which its process was started and returns None when all is well, else what is missing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

Check = Callable[[datetime], str | None]

_AWAY = (httpx.HTTPError, ValueError)


def _get(url: str) -> dict[str, object]:
    # trust_env: a proxy of the environment must not stand between us and our own loopback.
    with httpx.Client(trust_env=False, timeout=10) as client:
        answer = client.get(url)
        answer.raise_for_status()
        body = answer.json()
    if not isinstance(body, dict):
        raise ValueError("not a JSON object")
    return body


def airflow_server(address: str) -> Check:
    """Airflow's API server answers and reaches its database."""

    def check(_since: datetime) -> str | None:
        return _component(address, "metadatabase", None)

    return check


def airflow_component(address: str, name: str) -> Check:
    """`scheduler`, `triggerer` or `dag_processor` has reported to Airflow since it was started.

    Airflow calls a component healthy for 30 s after its last heartbeat, so its predecessor's must not count.
    """

    def check(since: datetime) -> str | None:
        return _component(address, name, since)

    return check


def _component(address: str, name: str, since: datetime | None) -> str | None:
    try:
        component = _get(f"{address}/api/v2/monitor/health").get(name)
    except _AWAY as error:
        return f"Airflow's API server does not answer ({type(error).__name__})"
    if not isinstance(component, dict) or component.get("status") != "healthy":
        return f"Airflow's {name} is not healthy yet"
    beat = component.get(f"latest_{name}_heartbeat")
    if since is not None and (not beat or datetime.fromisoformat(beat) < since):
        return f"Airflow's {name} has not reported since its start"
    return None


def tracker(address: str, instance: str) -> Check:
    """The tracker answers, and says that it belongs to this set-up."""

    def check(_since: datetime) -> str | None:
        try:
            health = _get(f"{address}/health")
        except _AWAY as error:
            return f"the tracker does not answer ({type(error).__name__})"
        if health.get("instance") != instance:
            return f"at {address} answers the tracker of another set-up"
        return None

    return check


def main(arguments: list[str]) -> int:
    """`python -m reku.runtime.health WHAT [ADDRESS]`: exit code 0 if WHAT is healthy (for container health checks).

    WHAT is `metadatabase`, `scheduler`, `triggerer`, `dag_processor` or `tracker`. ADDRESS defaults to the server that
    Airflow's processes are told to use.
    """
    what = arguments[0]
    address = arguments[1] if len(arguments) > 1 else _execution_server()
    if what == "tracker":
        problem = tracker(address, os.environ.get("REKU_INSTANCE", ""))(datetime.now(UTC))
    else:
        problem = _component(address, what, None)
    if problem is not None:
        print(problem, file=sys.stderr)  # noqa: T201 - a command speaks to its user
    return 0 if problem is None else 1


def _execution_server() -> str:
    return os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"].removesuffix("/").removesuffix("/execution")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
