"""What needs a person now, as a page inside Airflow: rendered here, complete without any script."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Header, HTTPException, Query
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from sqlalchemy.exc import DBAPIError

from reku.catalogue import occasions
from reku.foundation import clock
from reku.foundation.errors import SetupError
from reku.foundation.words import Words
from reku.orchestration.failed_tasks import FailedTask, failed_tasks
from reku.orchestration.names import dag_id
from reku.orchestration.reports import MOUNTED_AT, TODAY, today_address
from reku.process.needs import Need, needs
from reku.store.engine import engine

router = APIRouter()

HEADERS = {
    # As reports: style stands in the page, nothing else is fetched, no script ever runs; Airflow shows it in a frame.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
GERMAN, ENGLISH = "de", "en"
_OF_ALL = "reku_intake"
"""Whoever may see this DAG is told of what concerns no single occasion."""
OF_THE_SYSTEM = (_OF_ALL, "reku_agree21_import", "reku_alarms", "reku_collect", "reku_feedback", "reku_housekeeping")
"""The DAGs that belong to no occasion."""
_HTML = Path(__file__).parent / "html"


@router.get(TODAY, response_class=HTMLResponse)
def today(
    user: GetUserDep,
    session: SessionDep,
    bank: Annotated[str, Query(pattern=r"^([0-9]{8})?$")] = "",
    accept_language: Annotated[str, Header()] = "",
) -> HTMLResponse:
    """All that needs a person, of those DAGs that this person may see; `bank` (BLZ) narrows it to one.

    Failed tasks are named by the labels of their deliveries, so they are shown where all banks are.
    """
    known = {*OF_THE_SYSTEM, *map(dag_id, occasions())}
    allowed = get_auth_manager().filter_authorized_dag_ids(dag_ids=known, user=user)
    if not allowed:
        raise HTTPException(403)
    try:
        found = needs(engine(), bank)
    except (SetupError, DBAPIError):
        raise HTTPException(503, "reku today") from None
    seen = [need for need in found if _dag_of(need, known) in allowed]
    failed = [] if bank else failed_tasks(session, allowed)
    return HTMLResponse(render(seen, failed, bank, language_of(accept_language)), headers=HEADERS)


def _dag_of(need: Need, known: set[str]) -> str:
    """The DAG whose rights count: the occasion's, if it has one."""
    of_occasion = dag_id(need.occasion) if need.occasion else _OF_ALL
    return of_occasion if of_occasion in known else _OF_ALL


def language_of(accepted: str) -> str:
    """German or English, whichever a browser likes better (RFC 9110, Accept-Language); German if neither."""
    liked: dict[str, float] = {}
    for part in accepted.split(","):
        tag, _, weight = part.partition(";q=")
        with_region = tag.strip().lower().partition("-")[0]
        try:
            liked.setdefault(with_region, float(weight or 1))
        except ValueError:
            continue
    return max((GERMAN, ENGLISH), key=lambda language: liked.get(language, 0.0))


def render(found: Sequence[Need], failed: Sequence[FailedTask], bank: str, language: str) -> str:
    """The page in one language; `found` comes with the most urgent kind first."""

    def say(german: str, english: str) -> str:
        return german if language == GERMAN else english

    def word(words: Words) -> str:
        return say(words.german, words.english)

    path = today_address()
    return (
        _templates()
        .get_template("today.html")
        .render(
            language=language,
            say=say,
            word=word,
            style=(_HTML / "today.css").read_text(encoding="utf-8"),
            needs=found,
            failed=failed,
            counts=list(Counter(need.kind for need in found).items()),
            groups=[(kind, list(of_kind)) for kind, of_kind in groupby(found, key=lambda need: need.kind)],
            bank=next((need.bank for need in found if need.institute == bank), bank),
            now=_moment(clock.now()),
            airflow=path.removesuffix(f"{MOUNTED_AT}{TODAY}"),
            path=path,
            here=f"{path}?bank={bank}" if bank else path,
        )
    )


def _moment(moment: datetime) -> str:
    return f"{clock.berlin(moment):%d.%m.%Y %H:%M}"


def _with_code(text: str) -> Markup:
    """The text with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped first


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HTML), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"moment": _moment, "with_code": _with_code}
    return environment
