"""Pages about orders: all of them at a glance, the next days, one order, and one row's life."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import groupby
from typing import Annotated

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import HTMLResponse
from sqlalchemy.exc import DBAPIError

from reku.foundation.errors import SetupError, StageError
from reku.orchestration.failed_tasks import failed_tasks
from reku.orchestration.pages.frame import HEADERS, AcceptLanguage, language_of, page, render, say_in
from reku.orchestration.pages.picture import BARS, figures, funnel_picture
from reku.orchestration.pages.rights import Rights, dag_of, visible_dags
from reku.orchestration.pages.thumbnails import thumbnail
from reku.orchestration.task_acts import deliveries_of
from reku.process.agenda import AgendaEntry, agenda
from reku.process.matrix import Cell, CellState, cells
from reku.process.order_details import OrderDetails, order_details
from reku.store.engine import engine
from reku.views.history import GERMAN, history
from reku.views.order_overview import occasion_of_order
from reku.views.state_words import DELIVERY_STATES
from reku.views.trace import traces

router = APIRouter()

BANKS_AT_ONCE = 50
"""Rows of the matrix on one page."""
DUE_AT_ONCE = 200
"""Orders of the agenda on one page."""
_Bank = Annotated[str, Query(pattern=r"^([0-9]{8})?$")]
_Number = Annotated[int, Query(ge=1, le=10_000)]
_Text = Annotated[str, Query(max_length=60)]


@router.get("/matrix", response_class=HTMLResponse)
def matrix(
    user: GetUserDep,
    session: SessionDep,
    q: _Text = "",
    occasion: _Text = "",
    state: Annotated[str, Query(max_length=20)] = "",
    number: Annotated[_Number, Query(alias="page")] = 1,
    accept_language: AcceptLanguage = "",
) -> HTMLResponse:
    """Occasions across banks. `q`: part of a bank's name or BLZ; `occasion`: part of its code; `state`: only those."""
    allowed = visible_dags(user)
    with _database():
        failed = deliveries_of(session, failed_tasks(session, allowed)).values()
        known = [cell for cell in cells(engine(), failed) if dag_of(cell.occasion) in allowed]
    shown = render_matrix(known, language_of(accept_language), q, occasion, state, number)
    return HTMLResponse(shown, headers=HEADERS)


def render_matrix(
    known: Sequence[Cell], language: str, q: str = "", occasion: str = "", state: str = "", number: int = 1
) -> str:
    """The page with those of the orders that are asked for."""
    named = [cell for cell in known if cell.is_named(q, occasion)]
    wanted = [cell for cell in named if state in ("", cell.state)]
    banks = [list(of) for _, of in groupby(wanted, key=lambda cell: cell.institute)]
    shown = banks[(number - 1) * BANKS_AT_ONCE : number * BANKS_AT_ONCE]
    columns = sorted({cell.occasion for of in shown for cell in of})
    values = {
        "place": "matrix",
        "q": q,
        "occasion": occasion,
        "state": state,
        "states": list(CellState),
        "counts": Counter(cell.state for cell in named),
        "total": len(named),
        "columns": columns,
        "banks": [(of[0].institute, of[0].bank) for of in shown],
        "rows": [[(code, [cell for cell in of if cell.occasion == code]) for code in columns] for of in shown],
        "number": number,
        "last": max(1, -(-len(banks) // BANKS_AT_ONCE)),
    }
    return render("matrix.html", language, values)


@router.get("/agenda", response_class=HTMLResponse)
def next_days(
    user: GetUserDep,
    bank: _Bank = "",
    warned: bool = False,
    number: Annotated[_Number, Query(alias="page")] = 1,
    accept_language: AcceptLanguage = "",
) -> HTMLResponse:
    """Who is due in the next days; `warned`: only what will not go out as things stand."""
    allowed = visible_dags(user)
    with _database():
        due = [one for one in agenda(engine(), bank) if dag_of(one.occasion) in allowed]
    shown = render_agenda(due, language_of(accept_language), bank, warned=warned, number=number)
    return HTMLResponse(shown, headers=HEADERS)


def render_agenda(
    due: Sequence[AgendaEntry], language: str, bank: str = "", *, warned: bool = False, number: int = 1
) -> str:
    """The page with what is due, of one bank (BLZ) where one is named."""
    wanted = [one for one in due if one.warnings or not warned]
    first = (number - 1) * DUE_AT_ONCE
    shown = wanted[first : first + DUE_AT_ONCE]
    counts, people = Counter(one.day for one in due), Counter[date]()
    for one in due:
        people[one.day] += one.people or 0
    values = {
        "place": "agenda",
        "institute": bank,
        "bank": next((one.bank for one in due if one.institute == bank), bank),
        "warned": warned,
        "total": len(wanted),
        "with_warnings": sum(bool(one.warnings) for one in due),
        "people_of": people,
        "counts": counts,
        "days": [(day, list(of)) for day, of in groupby(shown, key=lambda one: one.day)],
        "number": number,
        "last": max(1, -(-len(wanted) // DUE_AT_ONCE)),
    }
    return render("agenda.html", language, values)


@router.get("/orders/{institute}/{order}", response_class=HTMLResponse)
def order_page(
    user: GetUserDep,
    institute: Annotated[str, Path(pattern=r"^[0-9]{8}$")],
    order: Annotated[str, Path(max_length=20)],
    accept_language: AcceptLanguage = "",
) -> HTMLResponse:
    """One order."""
    allowed = visible_dags(user)
    with _database():
        _check_visible(allowed, institute, order)
        details = order_details(engine(), institute, order)
    may_act = Rights(user).may_act(dag_of(details.occasion))
    return HTMLResponse(render_order(details, language_of(accept_language), may_act=may_act), headers=HEADERS)


def render_order(details: OrderDetails, language: str, *, may_act: bool) -> str:
    """The page of one order. `may_act`: whether acts are offered."""
    periods = [(row, figures(row)) for row in details.periods]
    values = {
        "order": details,
        "periods": periods,
        "picture": funnel_picture([row for row, _ in reversed(periods)]) if periods else None,
        "bars": BARS,
        "state_words": DELIVERY_STATES,
        "may_act": may_act,
        "media": [thumbnail(key) for key in details.media],
    }
    return render("order.html", language, values)


@router.get("/why", response_class=HTMLResponse)
def why(
    user: GetUserDep,
    reference: _Text = "",
    bank: _Bank = "",
    accept_language: AcceptLanguage = "",
) -> HTMLResponse:
    """What became of the rows of a bank with one Referenz, as far as this person may see their orders."""
    allowed = visible_dags(user)
    found, unknown = [], False
    if reference.strip() and bank:
        with _database():
            try:
                found = [
                    (trace, history(trace, say_in(language_of(accept_language))))
                    for trace in traces(engine(), reference.strip(), bank)
                    if dag_of(occasion_of_order(engine(), trace.institute, trace.order) or "") in allowed
                ]
            except StageError:
                unknown = True
    values = {
        "place": "why",
        "reference": reference,
        "institute": bank,
        "found": found,
        "unknown": unknown or bool(reference.strip() and bank and not found),
        "german": GERMAN,
    }
    return page("why.html", accept_language, values, 404 if values["unknown"] else 200)


@contextmanager
def _database() -> Iterator[None]:
    try:
        yield
    except (SetupError, DBAPIError):
        raise HTTPException(503, "reku today") from None


def _check_visible(allowed: Collection[str], institute: str, order: str) -> None:
    """Raises HTTPException 404 where there is no such order, or none that this person may see: the same to them."""
    occasion = occasion_of_order(engine(), institute, order)
    if occasion is None or dag_of(occasion) not in allowed:
        raise HTTPException(404, f"reku orders --institute {institute}")
