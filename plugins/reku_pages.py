"""Our pages on Airflow's own server, below /reku."""

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from reku.orchestration.reports import MOUNTED_AT, TODAY


async def pages(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI app. Plugins load in every process of Airflow, so what only the server needs is imported there."""
    from reku.orchestration.pages.app import app

    await app(scope, receive, send)


class CheckedHost:
    """Only requests for names of this server are answered: a page of somewhere else whose name has been made to lead
    here (DNS rebinding) asks for its own.
    """

    def __init__(self, app: Any) -> None:
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        from reku.foundation.settings import settings

        hosts = [host.strip() for host in settings().ui_hosts.split(",") if host.strip()]
        self._app = TrustedHostMiddleware(app, hosts, www_redirect=False) if hosts else app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


class RekuPages(AirflowPlugin):
    name = "reku_pages"
    fastapi_root_middlewares: ClassVar = [
        {"name": "reku checks Host", "middleware": CheckedHost, "args": [], "kwargs": {}}
    ]
    fastapi_apps: ClassVar = [{"name": "reku", "app": pages, "url_prefix": MOUNTED_AT}]
    external_views: ClassVar = [
        # With a url_route, though its frame is sandboxed: without one Airflow 3.3.2 makes a button that leads nowhere.
        {
            "name": "Zu tun",
            "href": f"{MOUNTED_AT}{TODAY}",
            "destination": "nav",
            "url_route": "reku-today",
            "nav_top_level": True,
        },
        {
            "name": "Dateien",
            "href": f"{MOUNTED_AT}/files",
            "destination": "nav",
            "url_route": "reku-files",
            "nav_top_level": True,
        },
        # Tabs: Airflow puts in the DAG and the run that one is looking at.
        {
            "name": "Zu tun",
            "href": f"{MOUNTED_AT}/dags/{{DAG_ID}}",
            "destination": "dag",
            "url_route": "reku-dag",
        },
        {
            "name": "Zu tun",
            "href": f"{MOUNTED_AT}/dags/{{DAG_ID}}?run={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "reku-run",
        },
    ]
