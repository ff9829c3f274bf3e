"""The pages that Airflow's server has of ours: delivery reports, for whoever may look at tasks of the delivery's own
DAG; and the way in that `reku up` and the demo print.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import DagAccessEntity, GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException as StarletteHTTPException

from reku.foundation.errors import SetupError
from reku.orchestration import login
from reku.orchestration.names import dag_id
from reku.orchestration.pages import acting, bank_files, dispatch, media_pages, onboarding, order_pages, today
from reku.orchestration.pages.frame import HEADERS, AcceptLanguage, language_of, page, render
from reku.orchestration.pages.rights import Rights, dag_of
from reku.orchestration.reports import MOUNTED_AT, pages_address
from reku.orchestration.task_acts import tasks_of_delivery
from reku.process.acts import ACTS, acts_on_delivery
from reku.process.banks import label_of
from reku.release.report import find_report, render_sent, with_what_is_true_now
from reku.release.report_facts import read_sent
from reku.store.engine import engine
from reku.views.delivery_overview import delivery_details, occasion_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_LARGEST_ID = 2**63 - 1

app = FastAPI(openapi_url=None)
app.include_router(login.router)
app.include_router(today.router)
app.include_router(order_pages.router)
app.include_router(dispatch.router)
app.include_router(onboarding.router)
app.include_router(acting.router)
app.include_router(bank_files.router)
app.include_router(media_pages.router)

_Delivery = Annotated[int, Path(ge=1, le=_LARGEST_ID)]
_NO_DAG = "~"
"""Where there is no delivery: only who may see all DAGs is told so."""


def _may_see(delivery: _Delivery, request: Request, user: GetUserDep) -> None:
    """Whether this person may look at tasks of the DAG that the delivery belongs to, whatever the request names."""
    try:
        occasion = occasion_of(engine(), delivery)
    except (SetupError, DBAPIError):
        raise HTTPException(503, "reku deliveries list") from None
    of_dag = dag_id(occasion) if occasion else _NO_DAG
    requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE, param_dag_id=of_dag)(request, user)


@app.get("/reports/{delivery}", dependencies=[Depends(_may_see)], response_class=HTMLResponse)
def report(
    delivery: _Delivery, user: GetUserDep, session: SessionDep, accept_language: AcceptLanguage = ""
) -> Response:
    """The report of a delivery, with what was sent of it up to now and the ways to its tasks; 404 without a report."""
    file = find_report(delivery)
    try:
        page = file.read_text(encoding="utf-8") if file else None
    except FileNotFoundError:  # removed this very moment
        page = None
    if page is None:
        raise HTTPException(404, f"reku deliveries report {delivery}")
    return HTMLResponse(with_what_is_true_now(page, _now(delivery, user, session, accept_language)), headers=HEADERS)


def _now(delivery: int, user: BaseUser, session: Session, accept_language: str) -> str:
    details = delivery_details(engine(), delivery)
    may_act = Rights(user).may_act(dag_of(details.occasion))
    label = label_of(engine(), delivery)
    has_run = details.owner_dag and details.owner_run
    tasks = tasks_of_delivery(session, details.owner_dag or "", details.owner_run or "", label) if has_run else []
    values = {
        "delivery": details,
        "tasks": tasks,
        "acts": acts_on_delivery(engine(), delivery) if may_act else (),
        "known": ACTS,
        "sent": Markup(render_sent(read_sent(engine(), delivery))),  # noqa: S704 - made by a template that escapes
    }
    return render("report_now.html", language_of(accept_language), values)


@app.exception_handler(StarletteHTTPException)
async def _refused(request: Request, error: StarletteHTTPException) -> Response:
    login_address = ""
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        back = _path_of(request)
        login_address = get_auth_manager().get_url_login(**({"next_url": back} if back else {}))
    shown = {
        "status": error.status_code,
        "login": login_address,
        "nothing_done": request.method == "POST",
        "command": str(error.detail) if error.status_code == HTTPStatus.NOT_FOUND else "",
    }
    return page("refused.html", request.headers.get("accept-language", ""), shown, error.status_code)


def _path_of(request: Request) -> str:
    """Where this very page is, for after the login: only a path of ours, whatever Host the request has named."""
    path = request.url.path.partition(f"{MOUNTED_AT}/")[2]
    if not path:
        return ""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{pages_address()}/{path}{query}"


@app.exception_handler(RequestValidationError)
async def _no_number(request: Request, _: RequestValidationError) -> Response:
    return await _refused(request, StarletteHTTPException(404, "reku deliveries list"))
