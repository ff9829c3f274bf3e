"""The media at a glance, each with its picture, and each as people get it from a bank."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import HTMLResponse, Response

from reku.catalogue import institutes, media, medium_folder
from reku.catalogue.medium import LETTER
from reku.catalogue.medium_pictures import find_picture, picture_address
from reku.channels.email.media.overview import fault_page, overview_page
from reku.channels.email.media.preview import preview_mail
from reku.foundation.errors import ConfigError
from reku.orchestration.pages.frame import HEADERS, AcceptLanguage, page
from reku.orchestration.reports import pages_address

router = APIRouter()

HEAD_PICTURE = "kopf.png"
_Key = Annotated[str, Path(pattern=r"^[A-Z0-9_]{1,60}$")]
_Bank = Annotated[str, Query(pattern=r"^([0-9]{8})?$")]
_PICTURES = "img-src 'self' data:; "


@router.get("/media", response_class=HTMLResponse)
def gallery(_: GetUserDep, accept_language: AcceptLanguage = "") -> HTMLResponse:
    """All media, by provider."""
    shown = []
    for key, medium in sorted(media().whole.items()):
        folder = medium_folder(key)
        head = folder / HEAD_PICTURE
        address = (
            picture_address(f"{pages_address()}/media", key, HEAD_PICTURE, head.read_bytes()) if head.is_file() else ""
        )
        shown.append({"medium": medium, "picture": address, "letter": (folder / LETTER).is_file()})
    senders = [(blz, campaign) for blz, bank in institutes().whole.items() for campaign in bank.campaigns]
    campaigns = {key: [(blz, one.order) for blz, one in senders if key in one.send_media] for key in media()}
    values = {"place": "media", "shown": shown, "campaigns": campaigns, "banks": list(institutes().whole.values())}
    return _with_pictures(page("media.html", accept_language, values))


@router.get("/media/b/{medium}/{name}")
def picture(_: GetUserDep, medium: str, name: str) -> Response:
    """A picture of a medium."""
    found = find_picture(medium, name)
    if found is None:
        raise HTTPException(404, "reku media list")
    return Response(found.content, media_type=found.kind, headers=HEADERS)


@router.get("/media/{key}", response_class=HTMLResponse)
def one_medium(_: GetUserDep, key: _Key, bank: _Bank = "") -> HTMLResponse:
    """A medium for an invented person, phone and desktop, light and dark, of a bank (none: the first)."""
    known = institutes().whole
    institute = known.get(bank) or next(iter(known.values()), None)
    if key not in media() or institute is None:
        raise HTTPException(404, "reku media list")
    try:
        shown = overview_page(key, preview_mail(key, institute))
    except ConfigError as error:
        shown = fault_page(key, [error])
    return _with_pictures(HTMLResponse(shown, headers=HEADERS))


def _with_pictures(made: HTMLResponse) -> HTMLResponse:
    """The page, which may show pictures of this server and such as stand in it."""
    made.headers["Content-Security-Policy"] = _PICTURES + HEADERS["Content-Security-Policy"]
    return made
