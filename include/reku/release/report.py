"""The report of one delivery: a page for people that says what the gate found, and stands alone.

It is made of our tables only, so it can be made again at any time. It needs no network, runs no script and shows
counts, rules and references, nothing of people.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache
from os import utime
from pathlib import Path

import sqlalchemy as sa
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from sqlalchemy.exc import DBAPIError

from reku.foundation import clock
from reku.foundation.errors import RekuError, SetupError
from reku.foundation.plots import number
from reku.foundation.private_files import private_folder
from reku.foundation.settings import settings
from reku.release import report_text as text
from reku.release.report_docs import data_docs
from reku.release.report_facts import Facts, Sent, read_facts
from reku.release.report_plot import row_plot
from reku.store.states import DeliveryState
from reku.views.state_words import DELIVERY_STATES, MESSAGE_STATES

log = logging.getLogger(__name__)

PAGE = "index.html"
NOW, END_OF_NOW = "<!-- now -->", "<!-- end of now -->"
"""Between them a page has what changes after it was made: who shows it may put what is true now in its place."""


def write_report(engine: sa.Engine, delivery_id: int) -> Path:
    """Write the report of a delivery, in whatever state it is, and return its file; an earlier one is replaced.

    Raises StageError if there is no such delivery, SetupError if the folder of reports cannot be written to.
    """
    facts = read_facts(engine, delivery_id)
    page = render(facts)
    file = settings().reports() / facts.institute / str(facts.delivery) / PAGE
    with _plain_errors(file.parent):
        for folder in (settings().reports(), file.parent.parent, file.parent):
            private_folder(folder)
        draft = file.with_name(f"{secrets.token_hex(4)}.tmp")
        draft.write_text(page, encoding="utf-8")
        made = clock.now().timestamp()
        utime(draft, (made, made))  # reports grow old by our clock, which may be moved
        draft.replace(file)
    return file


def write_report_or_warn(engine: sa.Engine, delivery_id: int) -> None:
    """Write the report of a delivery. Whatever goes wrong is logged and stops nothing: a report is only shown."""
    try:
        write_report(engine, delivery_id)
    except Exception as error:  # two libraries draw it, and no delivery shall wait for a picture
        said = isinstance(error, RekuError)
        log.warning(
            "The report of delivery %d could not be made (%s). The delivery goes on without it; "
            "`reku deliveries report %d` makes it again.",
            delivery_id,
            error if said else type(error).__name__,
            delivery_id,
            # a database's text may quote values of people
            exc_info=not (said or isinstance(error, DBAPIError)),
        )


def find_report(delivery_id: int) -> Path | None:
    """The file of a delivery's report, or None if it was never made or has been removed."""
    return next(settings().reports().glob(f"*/{delivery_id}/{PAGE}"), None)


def remove_old(now: datetime) -> int:
    """Remove the reports that were made more than `REKU_KEEP_REPORTS_DAYS` days before `now`; returns how many.

    Raises SetupError if one cannot be removed.
    """
    oldest = (now - timedelta(days=settings().keep_reports_days)).timestamp()
    removed = 0
    for file in settings().reports().glob("*/*/*"):
        with _plain_errors(file.parent), suppress(FileNotFoundError):  # somebody else was faster
            if file.stat().st_mtime < oldest:
                file.unlink()
                removed += file.name == PAGE
                with suppress(OSError):  # not empty: a new one is being written
                    file.parent.rmdir()
                    file.parent.parent.rmdir()
    return removed


def render(facts: Facts) -> str:
    """The page; the same facts give the same text."""
    broken = sorted((rule for rule in facts.rules if rule.broken), key=lambda rule: -rule.broken)
    return (
        _templates()
        .get_template("report.html")
        .render(
            facts=facts,
            style=_style(),
            verdict=text.verdict(facts),
            cure=text.cure(facts),
            sent=Markup(render_sent(facts.sent)),  # noqa: S704 - made by a template that escapes
            now_begins=Markup(NOW),  # noqa: S704 - a constant
            now_ends=Markup(END_OF_NOW),  # noqa: S704 - a constant
            states=DELIVERY_STATES,
            counts=_counts(facts),
            decision=text.DECISIONS[facts.decision] if facts.decision else None,
            metrics=sorted(facts.metrics, key=text.metric_place),
            broken=broken,
            plot=row_plot(facts.history, facts.delivery),
            docs=data_docs(facts.rules, facts.rows or 0),
        )
    )


def render_sent(sent: Sent) -> str:
    """The part of a page that says what was sent."""
    return _templates().get_template("sent.html").render(sent=sent, states=MESSAGE_STATES, responses=text.RESPONSES)


def with_what_is_true_now(page: str, now: str) -> str:
    """A report's page with something else in the place of what changes; as it is if it has no such place."""
    before, mark, rest = page.partition(NOW)
    _, end, after = rest.partition(END_OF_NOW)
    return f"{before}{NOW}{now}{END_OF_NOW}{after}" if mark and end else page


def _counts(facts: Facts) -> list[tuple[str, str, str]]:
    if facts.rows is None or facts.accepted is None or facts.rejected is None:
        return [("–", "Zeilen", "rows")]
    if facts.state == DeliveryState.REFUSED:  # all of its rows count as rejected; people ask how many are bad
        return [
            (number(facts.rows), "Zeilen", "rows"),
            (number(facts.rejects_in_all), "fehlerhaft", "faulty"),
            (text.share(facts.rejects_in_all, facts.rows), "Anteil fehlerhaft", "share faulty"),
        ]
    return [
        (number(facts.rows), "Zeilen", "rows"),
        (number(facts.accepted), "angenommen", "accepted"),
        (number(facts.rejected), "abgelehnt", "rejected"),
        (text.share(facts.rejected, facts.rows), "Anteil abgelehnt", "share rejected"),
    ]


@contextmanager
def _plain_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"The folder of reports {folder} cannot be written to ({error.strerror}). Allow it, or name another one in "
            "REKU_REPORTS_DIR."
        ) from None


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HTML), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "number": number,
        "share": text.share,
        "moment": text.moment,
        "metric_name": text.metric_name,
    }
    environment.globals |= {
        "metric_value": text.metric_value,
        "metric_range": text.metric_range,
        "severities": text.SEVERITIES,
    }
    return environment


_HTML = Path(__file__).parent / "html"


@cache
def _style() -> str:
    return (_HTML / "report.css").read_text(encoding="utf-8")
