"""Our pages on Airflow's own server, below /reku."""

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from reku.orchestration.reports import MOUNTED_AT


async def pages(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI app. Plugins load in every process of Airflow, so what only the server needs is imported there."""
    from reku.orchestration.reports_app import app

    await app(scope, receive, send)


class RekuPages(AirflowPlugin):
    name = "reku_pages"
    fastapi_apps: ClassVar = [{"name": "reku", "app": pages, "url_prefix": MOUNTED_AT}]
