"""The page about dispatch as a whole: stops, the mail server, mail domains, barred people, what comes back."""

from __future__ import annotations

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse
from sqlalchemy.exc import DBAPIError

from reku.dispatch.stop_switches import in_force
from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku.orchestration.pages.frame import AcceptLanguage, page
from reku.orchestration.pages.rights import OF_ALL, Rights, visible_dags
from reku.process.acts.on_stops import EVERYTHING
from reku.process.banks import Banks
from reku.store.engine import engine
from reku.views.dispatch_overview import collected, deliveries_without_session, slow_domains, suppression_counts

router = APIRouter()


@router.get("/dispatch", response_class=HTMLResponse)
def dispatch(user: GetUserDep, accept_language: AcceptLanguage = "") -> HTMLResponse:
    """For whoever may see what concerns no single occasion."""
    if OF_ALL not in visible_dags(user):
        raise HTTPException(403)
    try:
        with engine().connect() as connection:
            stops = in_force(connection)
        values = {
            "place": "dispatch",
            "stops": stops,
            "suppressions": suppression_counts(engine()),
            "domains": slow_domains(engine()),
            "collections": collected(engine()),
            "without_session": deliveries_without_session(engine()),
            "relay": f"{settings().smtp_host}:{settings().smtp_port}",
            "banks": Banks(),
            "may_act": Rights(user).may_act(OF_ALL),
            "everything": EVERYTHING,
        }
    except (SetupError, DBAPIError):
        raise HTTPException(503, "reku today") from None
    return page("dispatch.html", accept_language, values)
