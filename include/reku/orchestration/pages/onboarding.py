"""The page that shows how far each bank is on its way to its first mail."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse
from sqlalchemy.exc import DBAPIError

from reku.foundation.errors import SetupError
from reku.orchestration.pages.frame import AcceptLanguage, page
from reku.orchestration.pages.rights import OF_ALL, visible_dags
from reku.process.onboarding import OnboardingStep, onboarding
from reku.store.engine import engine

router = APIRouter()

AT_ONCE = 100
"""Banks on one page."""


@router.get("/onboarding", response_class=HTMLResponse)
def banks_on_their_way(
    user: GetUserDep,
    number: Annotated[int, Query(alias="page", ge=1, le=10_000)] = 1,
    accept_language: AcceptLanguage = "",
) -> HTMLResponse:
    """For whoever may see what concerns no single occasion."""
    if OF_ALL not in visible_dags(user):
        raise HTTPException(403)
    try:
        found = onboarding(engine())
    except (SetupError, DBAPIError):
        raise HTTPException(503, "reku today") from None
    values = {
        "place": "onboarding",
        "steps": list(OnboardingStep),
        "banks": found[(number - 1) * AT_ONCE : number * AT_ONCE],
        "total": len(found),
        "on_their_way": sum(one.next is not None for one in found),
        "number": number,
        "last": max(1, -(-len(found) // AT_ONCE)),
    }
    return page("onboarding.html", accept_language, values)
