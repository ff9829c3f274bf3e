"""The way into the pages of `reku up` and the demo: an address with a token, printed where it was started.

Whoever knows the token is the administrator, as with Airflow's own login form. A set-up without `REKU_UI_TOKEN` has a
login of its own, and here is nothing.
"""

from __future__ import annotations

import hmac

from airflow.api_fastapi.app import get_cookie_path
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.simple.datamodels.login import LoginBody
from airflow.api_fastapi.auth.managers.simple.services.login import SimpleAuthManagerLogin
from fastapi import APIRouter, HTTPException
from fastapi.responses import RedirectResponse

from reku.foundation.settings import settings
from reku.runtime.airflow import ADMINISTRATOR

router = APIRouter()


@router.get("/login")
def log_in(token: str = "") -> RedirectResponse:
    """Log in and lead to Airflow's pages; the token does not stay in the address."""
    wanted = settings().ui_token.get_secret_value()
    if not wanted:
        raise HTTPException(404, "reku up")
    if not hmac.compare_digest(token.encode(), wanted.encode()):
        raise HTTPException(403)
    answer = RedirectResponse(
        get_cookie_path(), 303, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    )
    session = SimpleAuthManagerLogin.create_token(LoginBody(username=ADMINISTRATOR, password=wanted))
    answer.set_cookie(COOKIE_NAME_JWT_TOKEN, session, path=get_cookie_path(), httponly=True, samesite="lax")
    return answer
