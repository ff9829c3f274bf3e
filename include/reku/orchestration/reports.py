"""Delivery reports seen from Airflow: one click away from the task that made them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

from airflow.sdk import BaseOperatorLink

log = logging.getLogger(__name__)

MOUNTED_AT = "/reku"
"""Where Airflow's server has our pages."""
TODAY = "/today"


class ReportLink(BaseOperatorLink):
    """The button under "Details" of a task of one delivery that opens its report; its log has the same link.

    Airflow asks for it at the end of each try, however it ends, and when a task begins to wait.
    """

    name = "Prüfbericht / quality report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow calls it so
        """The report's address; `operator` is a `Stage` with its rendered delivery."""
        return address(operator.delivery["delivery"])


def address(delivery: int) -> str:
    """Where a browser finds the report: a path on the server that the page with the link came from."""
    return f"{pages_address()}/reports/{delivery}"


def pages_address() -> str:
    """Where a browser finds our pages: a path, without a slash at its end."""
    return f"{urlsplit(airflow_address()).path.rstrip('/')}{MOUNTED_AT}"


def today_address() -> str:
    """Where a browser finds the list of what needs a person: a path, as for reports."""
    return f"{pages_address()}{TODAY}"


def whole(path: str) -> str:
    """The address of a path on Airflow's server as it is configured; the path alone if it is not."""
    return urljoin(airflow_address(), path)


def airflow_address() -> str:
    """Airflow's public address as it is configured, or empty."""
    from airflow.configuration import conf

    return str(conf.get("api", "base_url", fallback=""))


@contextmanager
def logged_address(delivery: Callable[[], int]) -> Iterator[None]:
    """Log where the delivery's report is when the work ends, however it ends; Airflow's pages show it as a link.

    `delivery`: asked then, since a corrected one may have taken its place.
    """
    try:
        yield
    finally:
        from reku.release.report import find_report

        if find_report(delivery()):
            log.info("Prüfbericht / quality report: %s", urljoin(airflow_address(), address(delivery())))
