"""Delivery reports seen from Airflow: made beside a task's work, and one click away from it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    import sqlalchemy as sa

log = logging.getLogger(__name__)

MOUNTED_AT = "/reku"
"""Where Airflow's server has our pages."""


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
    return f"{urlsplit(_airflow()).path.rstrip('/')}{MOUNTED_AT}/reports/{delivery}"


def _airflow() -> str:
    """Airflow's public address as it is configured, or empty."""
    from airflow.configuration import conf

    return str(conf.get("api", "base_url", fallback=""))


def write_report_or_warn(engine: sa.Engine, delivery: int) -> None:
    """Make the report of a delivery and log its address, which Airflow's pages show as a link.

    Whatever goes wrong with it is logged and stops nothing: it is only shown.
    """
    from sqlalchemy.exc import DBAPIError

    from reku.foundation.errors import RekuError
    from reku.release.report import write_report

    try:
        write_report(engine, delivery)
        log.info("Prüfbericht / quality report: %s", urljoin(_airflow(), address(delivery)))
    except Exception as error:  # two libraries draw it, and no delivery shall wait for a picture
        said = isinstance(error, RekuError)
        log.warning(
            "The report of delivery %d could not be made (%s). The delivery goes on without it; "
            "`reku deliveries report %d` makes it again.",
            delivery,
            error if said else type(error).__name__,
            delivery,
            # a database's text may quote values of people
            exc_info=not (said or isinstance(error, DBAPIError)),
        )
