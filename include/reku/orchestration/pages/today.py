"""What needs a person now, as a page inside Airflow, each line with what can be done about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Annotated
from urllib.parse import quote

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import HTMLResponse
from sqlalchemy.exc import DBAPIError

from reku.foundation.errors import SetupError
from reku.orchestration.failed_tasks import FailedTask, failed_tasks
from reku.orchestration.pages.frame import HEADERS, AcceptLanguage, language_of, render
from reku.orchestration.pages.rights import OF_ALL, Rights, dag_of, visible_dags
from reku.orchestration.reports import TODAY, pages_address
from reku.orchestration.task_acts import AGAIN, AGAIN_ALL, AGAIN_ALL_BUTTON, AGAIN_BUTTON, ALL_TASKS, undecided
from reku.process.acts import ACTS
from reku.process.acts.on_stops import EVERYTHING
from reku.process.alarming.looking_after import AlarmState, alarm_states
from reku.process.banks import Banks
from reku.process.needs import Need, NeedKind, needs
from reku.store.engine import engine
from reku.views.delivery_overview import DeliveryOfRun, deliveries_of_run
from reku.views.state_words import DELIVERY_STATES

router = APIRouter()

AT_ONCE = 200
"""Lines on one page."""


@router.get(TODAY, response_class=HTMLResponse)
def today(
    user: GetUserDep,
    session: SessionDep,
    bank: Annotated[str, Query(pattern=r"^([0-9]{8})?$")] = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    accept_language: AcceptLanguage = "",
) -> HTMLResponse:
    """All that needs a person, of those DAGs that this person may see; `bank` (BLZ) narrows it to one.

    Failed tasks are Airflow's, with their logs: they are named by the labels of their deliveries, so they are shown
    where all banks are.
    """
    allowed, rights = visible_dags(user), Rights(user)
    with _database():
        found = needs(engine(), bank)
        failed = [] if bank else undecided(session, engine(), failed_tasks(session, allowed))
        with engine().connect() as connection:
            states = alarm_states(connection, bank)
    seen = [need for need in found if dag_of(need.occasion) in allowed and need.kind is not NeedKind.FAILED]
    shown = render_today(seen, failed, bank, language_of(accept_language), rights.may_act, page, states)
    return HTMLResponse(shown, headers=HEADERS)


@router.get("/dags/{dag}", response_class=HTMLResponse)
def of_a_dag(
    user: GetUserDep,
    session: SessionDep,
    dag: Annotated[str, Path(max_length=250)],
    run: Annotated[str, Query(max_length=250)] = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    accept_language: AcceptLanguage = "",
) -> HTMLResponse:
    """The same of one DAG, and of a run of it where one is named, with the deliveries that it has in hand."""
    allowed, rights = visible_dags(user), Rights(user)
    if dag not in allowed:
        raise HTTPException(404, "reku today")
    with _database():
        in_hand = deliveries_of_run(engine(), dag, run) if run else []
        found = [need for need in needs(engine()) if dag_of(need.occasion) == dag and need.kind is not NeedKind.FAILED]
        with engine().connect() as connection:
            states = alarm_states(connection, "")
        failed = undecided(session, engine(), failed_tasks(session, [dag]))
    if run:
        of_run = {delivery.id for delivery in in_hand}
        found = [need for need in found if need.delivery in of_run]
        failed = [task for task in failed if task.run == run]
    tab = DagTab(dag, run, tuple(in_hand))
    shown = render_today(found, failed, "", language_of(accept_language), rights.may_act, page, states, tab)
    return HTMLResponse(shown, headers=HEADERS)


@dataclass(frozen=True)
class DagTab:
    """That the list is of one DAG, or of one run of it with these deliveries in hand."""

    dag: str
    run: str
    deliveries: tuple[DeliveryOfRun, ...]


@contextmanager
def _database() -> Iterator[None]:
    try:
        yield
    except (SetupError, DBAPIError):
        raise HTTPException(503, "reku today") from None


def render_today(
    found: Sequence[Need],
    failed: Sequence[FailedTask],
    bank: str,
    language: str,
    may_act: Callable[[str], bool],
    number: int = 1,
    states: Mapping[str, AlarmState] = MappingProxyType({}),
    tab: DagTab | None = None,
) -> str:
    """The page in one language; `found` comes with the most urgent kind first.

    `may_act`: whether acts that concern a DAG are offered. `number`: of the part that is shown, from 1. `states`: by
    cause, who looks after what. `tab`: where it is of one DAG only.
    """
    first = (number - 1) * AT_ONCE
    shown_tasks = failed[first : first + AT_ONCE]
    begin = max(0, first - len(failed))
    shown = found[begin : begin + AT_ONCE - len(shown_tasks)]
    last = max(1, -(-(len(failed) + len(found)) // AT_ONCE))
    return render(
        "today.html",
        language,
        {
            "place": "today",
            "total": len(found) + len(failed),
            "failed": shown_tasks,
            "failed_total": len(failed),
            "counts": list(Counter(need.kind for need in found).items()),
            "groups": [(kind, list(of_kind)) for kind, of_kind in groupby(shown, key=lambda need: need.kind)],
            "institute": bank,
            "bank": next((need.bank for need in found if need.institute == bank), bank),
            "number": number,
            "last": last,
            "first_of": first + 1,
            "acts_for": lambda need: need.acts if may_act(dag_of(need.occasion)) else (),
            "may_act": lambda need: may_act(dag_of(need.occasion)),
            "states": states,
            "may_try_again": lambda task: may_act(task.dag),
            "tab": tab,
            "here": f"{pages_address()}/dags/{quote(tab.dag)}?run={quote(tab.run, safe='')}&"
            if tab
            else f"{pages_address()}{TODAY}?bank={bank}&",
            "state_words": DELIVERY_STATES,
            "bank_of": Banks(),
            "may_stop": tab is None and may_act(OF_ALL),
            "everything": EVERYTHING,
            "acts": ACTS,
            "again": AGAIN,
            "again_button": AGAIN_BUTTON,
            "again_all": AGAIN_ALL,
            "again_all_button": AGAIN_ALL_BUTTON,
            "all_tasks": ALL_TASKS,
            "failed_by_task": Counter(task.task for task in failed if may_act(task.dag)),
        },
    )
