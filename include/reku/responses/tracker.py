"""The tracker: a public web service of its own for the links of our mails (`python -m reku.responses.serve`).

| path | GET | POST |
| --- | --- | --- |
| `/o/<token>.gif` | a transparent pixel; records an open | – |
| `/c/<token>` | 302 to a link of the mail's medium, never anywhere else; records a click | – |
| `/a/<token>` | the same for people without tracking consent: counts a click of nobody | – |
| `/b/<medium>/<picture>` | a picture of a medium, for banks whose mails fetch them; records nothing | – |
| `/u/<token>` | the unsubscribe page; changes nothing | unsubscribes (our buttons, or RFC 8058), or takes it back |
| `/health` | which instance this is, and what is wrong with it | – |

HEAD is answered like GET and records nothing, and so is what a browser fetches ahead. Links that people and their
programs have bent are understood. `/health` tells details to this machine only. Opens and clicks are in the journal
before they are answered, unsubscribes in the database. No IP address is kept, no access log is written, no cookie is
set.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal, TypedDict

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from reku.catalogue.institute import UnsubscribeScope
from reku.catalogue.medium_pictures import PLACE, find_picture
from reku.foundation.errors import ConfigError, SetupError
from reku.foundation.networks import is_loopback
from reku.foundation.tokens import Purpose, Target, read
from reku.responses import pages
from reku.responses.background_work import in_background
from reku.responses.bent_links import read_link
from reku.responses.links import LinkedMessage, UnknownTarget
from reku.responses.tracker_state import TrackerState
from reku.responses.unsubscribe import UnsubscribeWay, Wish
from reku.responses.unsubscribed import report_everything, undo, unsubscribed
from reku.store.engine import engine

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
_KEEP_PICTURE, _KEEP_ANOTHER = "public, max-age=31536000, immutable", "public, max-age=3600"
MAX_BODY = 65_536
"""Bytes of a POST that are looked at; a one-click body has 26."""

RETRY_AFTER = 120
"""Seconds after which a client may try again when the database is away, or when it has asked too often."""

_AHEAD = {b"sec-purpose": b"prefetch", b"purpose": b"prefetch", b"x-moz": b"prefetch", b"x-purpose": b"preview"}
"""Headers, and a word in them, of what a browser fetches before anybody wants it (Fetch standard, `Sec-Purpose`; the
others are older names of it).
"""
_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})

_PIXEL_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"image/gif"),
        (b"content-length", str(len(PIXEL)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
    ],
}
_PIXEL_BODY = {"type": "http.response.body", "body": PIXEL}


class _Lifespan(TypedDict):
    """What Starlette hands to each request."""

    tracker: TrackerState


def _no_access_log() -> None:
    # uvicorn's access log would note IP addresses and tokens. It looks at each
    # connection whether its logger has handlers.
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False


_no_access_log()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The whole service. What comes in masses comes first, without a framework's routing: pixels, and the unsubscribes
    that mailbox providers post.
    """
    if scope["type"] == "http" and scope["path"].startswith("/u/") and scope["method"] == "POST":
        answer = await unsubscribe(Request(scope, receive), scope["path"].removeprefix("/u/"))
        await answer(scope, receive, send)
        return
    if scope["type"] == "http" and scope["path"].startswith("/o/") and scope["method"] in ("GET", "HEAD"):
        meant = _meant_by_pixel(scope["path"])
        if meant is not None:
            if scope["method"] == "GET":
                _note(scope, "OPENED", meant)
            await send(_PIXEL_START)
            await send(_PIXEL_BODY)  # the server leaves it out of the answer to HEAD
            return
    await _pages(scope, receive, send)


def _meant_by_pixel(path: str) -> Target | None:
    if not path.endswith(".gif"):
        return None
    try:
        return read(Purpose.OPEN, path[3:-4])
    except SetupError:
        return None


def _note(scope: Scope, kind: Literal["OPENED", "CLICKED", "ANON"], meant: Target) -> None:
    """Record a hit, unless nobody looks at what was asked for, or too much comes."""
    agent = ""
    for name, value in scope["headers"]:
        if name == b"user-agent":
            agent = value.decode("latin-1")
        elif name in _AHEAD and _AHEAD[name] in value.lower():
            return
    tracker: TrackerState = scope["state"]["tracker"]
    if tracker.client_limit.allow(_client(scope)) and (kind == "ANON" or tracker.message_limit.count(meant.id)):
        tracker.journal.note(kind, meant.id, meant.link, "" if kind == "ANON" else agent)
    else:
        tracker.limited += 1


def _client(scope: Scope) -> str:
    """The client's address; of none (a socket file) the same for all. It is never kept."""
    return scope["client"][0] if scope["client"] else ""


def _is_of_this_machine(scope: Scope) -> bool:
    """Whether somebody on this machine asks, and no proxy on it for somebody else."""
    return is_loopback(_client(scope)) and not any(name in _FORWARDED for name, _ in scope["headers"])


async def health(request: Request) -> Response:
    """Whether all is well; 503 where a setting is missing or hits are lost. Which instance this is and what is wrong is
    told to this machine only: it names folders.
    """
    tracker = _tracker(request)
    about: dict[str, str | int] = {
        "service": "reku-tracker",
        "instance": os.environ.get("REKU_INSTANCE", ""),
        "lost": tracker.journal.lost,
        "limited": tracker.limited,
        "behind": tracker.behind,
    }
    problem = tracker.journal.problem
    try:
        read(Purpose.OPEN, "")
        engine()
    except SetupError as error:
        problem = str(error)
    if problem:
        about["problem"] = problem
    told = about if _is_of_this_machine(request.scope) else {"service": about["service"]}
    return JSONResponse(told, 503 if problem else 200, HEADERS)


async def click(request: Request) -> Response:
    """To the link that the token means; a GET records the click."""
    return await _follow(request, Purpose.CLICK, "CLICKED", _of_message)


async def anonymous_click(request: Request) -> Response:
    """To the link that the token means; a GET counts the click for the delivery."""
    return await _follow(request, Purpose.ANONYMOUS, "ANON", _of_delivery)


async def _follow(
    request: Request,
    purpose: Purpose,
    kind: Literal["CLICKED", "ANON"],
    find: Callable[[TrackerState, Target], LinkedMessage],
) -> Response:
    tracker = _tracker(request)

    async def work() -> Response:
        meant = read_link(purpose, request.path_params["token"])
        target = None if meant is None else await run_in_threadpool(_target, find, tracker, meant)
        if meant is None or target is None:
            return _invalid(request)
        if request.method == "GET":
            _note(request.scope, kind, meant)
        return RedirectResponse(target, 302, HEADERS)

    return await _answered(work, pages.UNAVAILABLE)


def _of_message(tracker: TrackerState, meant: Target) -> LinkedMessage:
    return tracker.message(meant.id)


def _of_delivery(tracker: TrackerState, meant: Target) -> LinkedMessage:
    return LinkedMessage(tracker.institute_of(meant.id), meant.medium)


def _target(find: Callable[[TrackerState, Target], LinkedMessage], tracker: TrackerState, meant: Target) -> str | None:
    try:
        message = find(tracker, meant)
    except UnknownTarget:
        return None
    return tracker.target(message.institute, message.medium, meant.link)


async def ask(request: Request) -> Response:
    """The unsubscribe page with its buttons. Changes nothing: scanners follow every link of a mail."""

    async def work() -> Response:
        meant = read_link(Purpose.UNSUBSCRIBE, request.path_params["token"])
        shown = None if meant is None else await run_in_threadpool(_page_about, _tracker(request), meant.id)
        return _invalid(request) if shown is None else shown

    return await _answered(work, pages.UNAVAILABLE)


def _page_about(tracker: TrackerState, message: int) -> Response | None:
    """The question, or what has been done already."""
    try:
        linked = tracker.message(message)
    except UnknownTarget:
        return None
    bank, topic = tracker.bank(linked.institute), tracker.topic(linked.occasion)
    done = unsubscribed(engine(), message)
    return _page(pages.ask(bank, topic) if done is None else pages.done(topic, done.scope, done.undo_until), bank)


async def picture(request: Request) -> Response:
    """A picture of a medium. Who asks is not known and nothing is recorded."""
    medium, name = request.path_params["medium"], request.path_params["name"]
    found = await run_in_threadpool(find_picture, medium, name)
    if found is None:
        raise HTTPException(404)
    kept = _KEEP_PICTURE if found.is_current else _KEEP_ANOTHER
    return Response(found.content, media_type=found.kind, headers=HEADERS | {"Cache-Control": kept})


async def unsubscribe(request: Request, token: str) -> Response:
    """Unsubscribe: no cookie, no redirect, no further question; the second time changes nothing (RFC 8058).

    Our page's buttons say more: all mails of the bank, or that it is taken back.
    """
    body = await _body(request)
    # Looked for in the raw bytes: RFC 8058 lets the provider choose between urlencoded and multipart.
    one_click = b"List-Unsubscribe" in body and b"One-Click" in body
    if body == pages.UNDO:
        return await _take_back(request, token)
    everything = body == pages.EVERYTHING
    by = UnsubscribeWay.ONE_CLICK if one_click else UnsubscribeWay.LINK

    async def work() -> Response:
        meant = read_link(Purpose.UNSUBSCRIBE, token)
        if meant is None:
            return _invalid(request)
        tracker = _tracker(request)
        institute = await asyncio.wrap_future(tracker.unsubscribes.ask(Wish(meant.id, by, everything)))
        if institute is None:
            return _invalid(request)
        bank = tracker.bank(institute)
        if one_click:  # a mailbox provider asks, in masses, and nobody reads the answer
            return _page(pages.done("", bank.scope), bank)
        return await run_in_threadpool(_after, tracker, meant.id, bank, everything)

    return await _answered(work, pages.NOT_SAVED)


def _after(tracker: TrackerState, message: int, bank: pages.Bank, everything: bool) -> Response:
    """What has been done, committed already: no fault of the rest may say otherwise."""
    try:
        if everything:
            report_everything(engine(), message)
        shown = _page_about(tracker, message)
    except (DBAPIError, PoolTimeoutError, ConfigError, SetupError) as error:
        log.warning("An unsubscribe is saved, and its page is shown without more (%s).", type(error).__name__)
        shown = None
    scope = UnsubscribeScope.INSTITUTE if everything else bank.scope
    return _page(pages.done("", scope), bank) if shown is None else shown


async def _take_back(request: Request, token: str) -> Response:
    async def work() -> Response:
        meant = read_link(Purpose.UNSUBSCRIBE, token)
        shown = None if meant is None else await run_in_threadpool(_page_taken_back, _tracker(request), meant.id)
        return _invalid(request) if shown is None else shown

    return await _answered(work, pages.UNAVAILABLE)


def _page_taken_back(tracker: TrackerState, message: int) -> Response | None:
    try:
        linked = tracker.message(message)
    except UnknownTarget:
        return None
    bank, topic = tracker.bank(linked.institute), tracker.topic(linked.occasion)
    if undo(engine(), message):
        return _page(pages.taken_back(bank, topic), bank)
    done = unsubscribed(engine(), message)
    if done is None:  # taken back already: a second press of the button
        return _page(pages.ask(bank, topic), bank)
    return _page(pages.TOO_LATE, bank, 409)


def _tracker(request: Request) -> TrackerState:
    tracker: TrackerState = request.state.tracker
    return tracker


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


async def _answered(work: Callable[[], Awaitable[Response]], otherwise: pages.Page) -> Response:
    """What `work` answers; `otherwise` where the database or the configuration is away."""
    try:
        return await work()
    except (DBAPIError, PoolTimeoutError) as error:
        cause = type(getattr(error, "orig", error)).__name__
        log.error("The database did not take a reaction (%s); it was answered with 503.", cause)
    except (ConfigError, SetupError) as error:
        log.error("A reaction was answered with 503: %s", error)
    except Exception:  # a fault of ours; whoever asks gets a page all the same
        log.exception("A reaction was answered with 503.")
    return _page(otherwise, status=503, headers={"Retry-After": str(RETRY_AFTER)})


def _invalid(request: Request) -> Response:
    """No link of ours; whoever tries many of them is told to wait."""
    tracker = _tracker(request)
    if tracker.client_limit.allow(_client(request.scope)):
        return _page(pages.INVALID, status=404)
    tracker.limited += 1
    return _page(pages.TOO_MANY, status=429, headers={"Retry-After": str(RETRY_AFTER)})


def _page(
    page: pages.Page, bank: pages.Bank | None = None, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    html, policy = pages.render(page, bank or pages.Bank())
    return HTMLResponse(html, status, HEADERS | {"Content-Security-Policy": policy} | (headers or {}))


async def _refused(request: Request, error: Exception) -> Response:
    """Paths and methods that do not exist."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        return _page(pages.METHOD, status=405, headers=dict(error.headers or {}))
    return _invalid(request)


async def _broken(_request: Request, _error: Exception) -> Response:
    """A fault of ours; uvicorn's error log has the traceback."""
    return _page(pages.UNAVAILABLE, status=500)


@asynccontextmanager
async def _lifespan(_app: Starlette) -> AsyncIterator[_Lifespan]:
    tracker = TrackerState()
    async with in_background(tracker):
        yield {"tracker": tracker}


class _Anything(Convertor[str]):
    """The rest of a path, with slashes and ends of lines: links come back bent."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("anything", _Anything())
_pages = Starlette(
    routes=[
        Route("/health", health),
        Route("/c/{token:anything}", click),
        Route("/a/{token:anything}", anonymous_click),
        Route(f"/{PLACE}/{{medium}}/{{name}}", picture),
        Route("/u/{token:anything}", ask, methods=["GET", "POST"]),  # POST is answered before; here it is for 405
    ],
    exception_handlers={HTTPException: _refused, Exception: _broken},
    lifespan=_lifespan,
)
_pages.router.redirect_slashes = (
    False  # a wrong path is a wrong link; the only redirects are those to links of a medium
)
