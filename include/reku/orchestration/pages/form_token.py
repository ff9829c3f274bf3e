"""Forms are answered only by the session that they were shown to (cross-site request forgery).

Airflow's session cookie is `SameSite=Lax`: a page of another site cannot make a browser post with it, one of another
port or subdomain can. So each form carries a token that only its own session can have: an HMAC of person, session, act
and time (the HMAC based pattern of OWASP's cheat sheet on cross-site request forgery).
"""

from __future__ import annotations

import hashlib
import hmac
import time

from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.configuration import conf
from fastapi import Request

VALID_SECONDS = 3600
"""So long a form may stay open."""


def make_token(request: Request, user: BaseUser, about: str) -> str:
    """The token of a form about `about`, shown now."""
    return _token(request, user, about, int(time.time()))


def is_good(token: str, request: Request, user: BaseUser, about: str) -> bool:
    """Whether the token was made for this very session and form, and not too long ago."""
    shown, _, _ = token.partition(".")
    if not (shown.isascii() and shown.isdecimal() and len(shown) < 12):
        return False
    is_young = 0 <= time.time() - int(shown) <= VALID_SECONDS
    return is_young and hmac.compare_digest(token.encode(), _token(request, user, about, int(shown)).encode())


def comes_from_elsewhere(request: Request) -> bool:
    """Whether the browser says that another site, or another port or subdomain, has sent this (Fetch Metadata)."""
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def _token(request: Request, user: BaseUser, about: str, shown: int) -> str:
    session = request.headers.get("authorization") or request.cookies.get(COOKIE_NAME_JWT_TOKEN, "")
    signed = "\0".join(("reku form", str(user.get_id()), session, about, str(shown)))
    key = conf.get_mandatory_value("api", "secret_key").encode()
    return f"{shown}.{hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()}"
