"""The tracker: a public web service of its own for the links of our mails (`uvicorn reku.responses.tracker:app`).

| path | GET | POST |
| --- | --- | --- |
| `/o/<token>.gif` | a transparent pixel; records an open | – |
| `/c/<token>` | 302 to a link of the mail's medium, never anywhere else; records a click | – |
| `/u/<token>` | the unsubscribe page; changes nothing | unsubscribes: our button, or one-click (RFC 8058) |
| `/health` | which instance this is | – |

HEAD is answered like GET and records nothing. Whatever is answered as done is committed before. No IP address is kept,
no access log is written, no cookie is set.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from reku.errors import ConfigError, SetupError
from reku.responses import pages, reactions
from reku.responses.reactions import By, Mail
from reku.store.engine import engine
from reku.tokens import Purpose, Target, read

log = logging.getLogger(__name__)

PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"  # GIF, 1 x 1, transparent
)
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
MAX_BODY = 65_536
"""Bytes of a POST that are looked at; a one-click body has 26."""

RETRY_AFTER = 120
"""Seconds after which a client may try again when the database is away."""


def _no_access_log() -> None:
    # uvicorn's access log would note IP addresses and tokens. It looks at each
    # connection whether its logger has handlers.
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False


_no_access_log()


async def health(_request: Request) -> Response:
    """Which instance this is; 503 with the cause where a setting is missing."""
    about = {"service": "reku-tracker", "instance": os.environ.get("REKU_INSTANCE", "")}
    try:
        read(Purpose.OPEN, "")
        engine()
    except SetupError as error:
        return JSONResponse(about | {"problem": str(error)}, 503, HEADERS)
    return JSONResponse(about, headers=HEADERS)


async def open_pixel(request: Request) -> Response:
    """The pixel; a GET records the open."""

    def work() -> Response:
        mail, _ = _meant(request, Purpose.OPEN)
        if mail is None:
            return _page(pages.INVALID, status=404)
        if request.method == "GET":
            reactions.opened(engine(), mail)
        return Response(PIXEL, media_type="image/gif", headers=HEADERS)

    return await _answered(work, pages.UNAVAILABLE)


async def click(request: Request) -> Response:
    """To the link that the token means; a GET records the click."""

    def work() -> Response:
        mail, meant = _meant(request, Purpose.CLICK)
        target = reactions.target_of(mail, meant.link) if mail else None
        if mail is None or target is None:
            return _page(pages.INVALID, status=404)
        if request.method == "GET":
            reactions.clicked(engine(), mail, meant.link, target)
        return RedirectResponse(target, 302, HEADERS)

    return await _answered(work, pages.UNAVAILABLE)


async def ask(request: Request) -> Response:
    """The unsubscribe page with its button. Changes nothing: scanners follow every link of a mail."""

    def work() -> Response:
        mail, _ = _meant(request, Purpose.UNSUBSCRIBE)
        if mail is None:
            return _page(pages.INVALID, status=404)
        bank = pages.bank_of(mail.institute)
        return _page(pages.ASK[bank.scope], bank)

    return await _answered(work, pages.UNAVAILABLE)


async def unsubscribe(request: Request) -> Response:
    """Unsubscribe: no cookie, no redirect, no further question; the second time changes nothing (RFC 8058)."""
    body = await _body(request)
    # Looked for in the raw bytes: RFC 8058 lets the provider choose between urlencoded and multipart.
    by = By.ONE_CLICK if b"List-Unsubscribe" in body and b"One-Click" in body else By.LINK

    def work() -> Response:
        mail, _ = _meant(request, Purpose.UNSUBSCRIBE)
        if mail is None:
            return _page(pages.INVALID, status=404)
        bank = pages.bank_of(mail.institute)
        reactions.unsubscribe(engine(), mail, by, bank.scope)
        return _page(pages.DONE[bank.scope], bank)

    return await _answered(work, pages.NOT_SAVED)


def _meant(request: Request, purpose: Purpose) -> tuple[Mail | None, Target]:
    meant = read(purpose, request.path_params["token"]) or Target(0)
    return reactions.find(engine(), meant.id), meant


async def _body(request: Request) -> bytes:
    """The first bytes of the body. A client that hangs up half-way has still asked to be unsubscribed."""
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                break
    except ClientDisconnect:
        pass
    return body[:MAX_BODY]


async def _answered(work: Callable[[], Response], otherwise: pages.Page) -> Response:
    """What `work` answers, off the event loop; `otherwise` where the database or the configuration is away."""
    try:
        return await run_in_threadpool(work)
    except (DBAPIError, PoolTimeoutError) as error:
        cause = type(getattr(error, "orig", error)).__name__
        log.error("The database did not take a reaction (%s); it was answered with 503.", cause)
    except (ConfigError, SetupError) as error:
        log.error("A reaction was answered with 503: %s", error)
    return _page(otherwise, status=503, headers={"Retry-After": str(RETRY_AFTER)})


def _page(
    page: pages.Page, bank: pages.Bank | None = None, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    html, policy = pages.render(page, bank or pages.Bank())
    return HTMLResponse(html, status, HEADERS | {"Content-Security-Policy": policy} | (headers or {}))


async def _refused(_request: Request, error: Exception) -> Response:
    """Paths and methods that do not exist."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    allowed = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return _page(pages.METHOD if status == 405 else pages.INVALID, status=status, headers=allowed)


async def _broken(_request: Request, _error: Exception) -> Response:
    """A fault of ours; uvicorn's error log has the traceback."""
    return _page(pages.UNAVAILABLE, status=500)


_Handler = Callable[[Request], Awaitable[Response]]


async def unsubscribe_path(request: Request) -> Response:
    """GET and HEAD ask, POST unsubscribes: one path, since a mail carries one address for both (RFC 8058)."""
    handler: _Handler = unsubscribe if request.method == "POST" else ask
    return await handler(request)


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/o/{token}.gif", open_pixel),
        Route("/c/{token}", click),
        Route("/u/{token}", unsubscribe_path, methods=["GET", "POST"]),
    ],
    exception_handlers={HTTPException: _refused, Exception: _broken},
)
app.router.redirect_slashes = False  # a wrong path is a wrong link; the only redirects are those to links of a medium
