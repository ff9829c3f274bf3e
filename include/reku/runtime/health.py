"""Is what we started up, and is it really ours that answers?

A check takes the moment at which its process was started and returns None when all is well, else what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

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
        found = _get(f"{address}/api/v2/monitor/health").get(name)
    except _AWAY as error:
        return f"Airflow's API server does not answer ({type(error).__name__})"
    if not isinstance(found, dict) or found.get("status") != "healthy":
        return f"Airflow's {name} is not healthy yet"
    beat = found.get(f"latest_{name}_heartbeat")
    if since is not None and (not beat or datetime.fromisoformat(beat) < since):
        return f"Airflow's {name} has not reported since its start"
    return None


def tracker(address: str, instance: str) -> Check:
    """The tracker answers, and says that it belongs to this set-up."""

    def check(_since: datetime) -> str | None:
        try:
            found = _get(f"{address}/health")
        except _AWAY as error:
            return f"the tracker does not answer ({type(error).__name__})"
        if found.get("instance") != instance:
            return f"at {address} answers the tracker of another set-up"
        return None

    return check
