"""The pages that Airflow's server has of ours: delivery reports, for whoever may look at tasks of the delivery's own
DAG; and the way in that `reku up` and the demo print.
"""

from __future__ import annotations

from html import escape
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import DagAccessEntity, GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException as StarletteHTTPException

from reku.foundation.errors import SetupError
from reku.orchestration import login, today_page
from reku.orchestration.names import dag_id
from reku.orchestration.reports import TODAY, address, today_address
from reku.orchestration.today_page import HEADERS
from reku.release.report import find_report
from reku.store.engine import engine
from reku.views.delivery_overview import occasion_of

_LARGEST_ID = 2**63 - 1

app = FastAPI(openapi_url=None)
app.include_router(login.router)
app.include_router(today_page.router)

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
def report(delivery: _Delivery) -> Response:
    """The report of a delivery; 404 if there is none (any more)."""
    file = find_report(delivery)
    try:
        page = file.read_text(encoding="utf-8") if file else None
    except FileNotFoundError:  # removed this very moment
        page = None
    if page is None:
        raise HTTPException(404, f"reku deliveries report {delivery}")
    return HTMLResponse(page, headers=HEADERS)


@app.exception_handler(StarletteHTTPException)
async def _refused(request: Request, error: StarletteHTTPException) -> Response:
    match error.status_code:
        case 401:
            delivery = request.path_params.get("delivery", "")
            is_today = request.url.path.endswith(TODAY)
            back = address(int(delivery)) if delivery.isdecimal() else today_address() if is_today else ""
            login = get_auth_manager().get_url_login(**({"next_url": back} if back else {}))
            said = f'<a href="{escape(login)}">Bitte anmelden</a> / <span lang="en">please log in</span>'
        case 403:
            said = 'Dafür fehlt die Berechtigung. / <span lang="en">You may not see this.</span>'
        case 503:
            said = (
                "Die Datenbank antwortet nicht. Bitte später noch einmal versuchen. / "
                '<span lang="en">The database does not answer. Please try again later.</span>'
            )
        case _:
            said = (
                "Diesen Bericht gibt es nicht oder nicht mehr. Er lässt sich neu erzeugen. / "
                '<span lang="en">There is no such report, or not any more. It can be made again.</span> '
                f"<code>{escape(str(error.detail))}</code>"
            )
    page = f'<!DOCTYPE html><html lang="de"><meta charset="utf-8"><title>Prüfbericht</title><p>{said}</p></html>'
    return HTMLResponse(page, error.status_code, headers=HEADERS)


@app.exception_handler(RequestValidationError)
async def _no_number(request: Request, _: RequestValidationError) -> Response:
    return await _refused(request, StarletteHTTPException(404, "reku deliveries list"))
