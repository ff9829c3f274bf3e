"""The page "Dateien": people of a bank upload exports of its data and fetch what was prepared for it.

It is the bank's own page: only those whom its file names under `staff` see it, and nobody who runs the platform.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, BinaryIO
from urllib.parse import quote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Form, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from sqlalchemy.exc import DBAPIError
from starlette.datastructures import UploadFile

from reku.catalogue import institutes
from reku.catalogue.institute import Institute
from reku.foundation.errors import RekuError, SetupError
from reku.foundation.words import Words
from reku.orchestration.pages.form_token import comes_from_elsewhere, is_good, make_token
from reku.orchestration.pages.frame import HEADERS, AcceptLanguage, page
from reku.orchestration.pages.rights import name_of
from reku.pickup.take import make_file, note_fetched
from reku.process.by_hand import (
    LARGEST,
    UploadRefused,
    check_size,
    check_upload,
    fetch_from_outbox,
    outbox_files,
    take_upload,
    uploads,
)
from reku.process.systems import FILE_FORMATS
from reku.store.engine import engine
from reku.views.file_overview import file_lines
from reku.views.prepared_overview import prepared_files_of

router = APIRouter()

_BLOCK = 1 << 20
_ARRIVED = 20
"""Files that arrived last, with what became of them."""
_FIRST_MOMENT = (1980, 1, 1, 0, 0, 0)
"""What a ZIP takes for the time of its files, so that it has the same bytes whenever it is made."""
_OUTDATED = Words(
    "Das Formular war abgelaufen oder gehörte zu einer anderen Anmeldung; nichts ist geschehen. Bitte noch einmal.",
    "The form had run out or belonged to another login; nothing has been done. Please try again.",
)
_NO_FILE = Words("Es war keine Datei ausgewählt.", "No file was chosen.")
_NO_LENGTH = Words(
    "Der Browser sagt nicht, wie groß die Datei ist; nichts wurde angenommen.",
    "The browser does not say how large the file is; nothing has been taken.",
)
_NOT_NOW = Words(
    "Die Datei lässt sich gerade nicht herstellen; sie wartet weiter und gilt nicht als abgeholt. Bitte sagen Sie "
    "denen, die dieses System betreiben: {error}",
    "The file cannot be made just now; it goes on waiting and does not count as fetched. Please tell those who run "
    "this system: {error}",
)
_TAKEN = Words(
    "liegt im Eingang. In wenigen Minuten steht unten, ob die Datei angenommen wurde.",
    "is in the inbox. In a few minutes it stands below whether it was taken.",
)

_Bank = Annotated[str, Query(pattern=r"^([0-9]{8})?$")]
_Token = Annotated[str, Form(max_length=200)]


def bank_of(user: BaseUser, wanted: str) -> tuple[Institute, list[Institute]]:
    """The bank that is shown, and all of which this person is staff; `wanted`: a BLZ, empty for the first.

    Raises HTTPException 403 for whoever is staff of none or not of that one, and for whoever runs the platform, named
    or not: who may change its connections could read everything, so they shall not take what names people as well.
    """
    runs_the_platform = get_auth_manager().is_authorized_connection(method="PUT", user=user)
    mine = [] if runs_the_platform else [one for one in institutes().whole.values() if name_of(user) in one.staff]
    chosen = next((one for one in mine if one.blz == (wanted or one.blz)), None)
    if chosen is None:
        raise HTTPException(403)
    return chosen, mine


@router.get("/files", response_class=HTMLResponse)
def files_page(
    request: Request, user: GetUserDep, bank: _Bank = "", accept_language: AcceptLanguage = ""
) -> HTMLResponse:
    """What may be fetched, what has arrived, and a form to upload."""
    return _page(request, user, bank, accept_language)


@router.post("/files", response_class=HTMLResponse)
async def upload(
    request: Request, user: GetUserDep, bank: _Bank = "", accept_language: AcceptLanguage = ""
) -> HTMLResponse:
    """Take an export into the bank's inbox: its size is looked at first, and it is never whole in memory."""
    if comes_from_elsewhere(request):
        raise HTTPException(403)
    chosen, _ = bank_of(user, bank)

    async def answer(said: Words, status: int, name: str = "") -> HTMLResponse:
        return await run_in_threadpool(_page, request, user, chosen.blz, accept_language, said, status, name)

    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return await answer(_NO_LENGTH, 411)
    try:
        check_size(int(length))
    except UploadRefused as refused:
        return await answer(refused.words, 413)
    async with request.form(max_files=1, max_fields=1) as form:
        token, file = form.get("token"), form.get("file")
        if not isinstance(token, str) or not is_good(token, request, user, _about(chosen)):
            return await answer(_OUTDATED, 409)
        if not isinstance(file, UploadFile) or not file.filename:
            return await answer(_NO_FILE, 422)
        try:
            await run_in_threadpool(_take, chosen, file.filename, file.file, name_of(user))
        except UploadRefused as refused:
            return await answer(refused.words, 422, file.filename)
        except RekuError as error:
            return await answer(Words(str(error), str(error)), 409, file.filename)
        return await answer(_TAKEN, 200, file.filename)


def _take(bank: Institute, name: str, stream: BinaryIO, actor: str) -> None:
    beginning = stream.read(_BLOCK)
    check_upload(bank, name, beginning)

    def blocks() -> Iterator[bytes]:
        block = beginning
        while block:
            yield block
            block = stream.read(_BLOCK)

    take_upload(engine(), bank, name, blocks(), actor=actor)


@router.post("/files/{file}", response_class=Response)
def fetch_prepared(
    request: Request,
    user: GetUserDep,
    file: Annotated[int, Path(ge=1, le=2**63 - 1)],
    bank: _Bank = "",
    token: _Token = "",
    accept_language: AcceptLanguage = "",
) -> Response:
    """Make a prepared file and hand it out; several of one name, such as letters and their index, as a ZIP.

    Only one that was handed over to its end counts as fetched.
    """

    def taken(chosen: Institute) -> Response:
        made = make_file(engine(), chosen, FILE_FORMATS, file)

        def got_there() -> None:
            note_fetched(engine(), chosen, FILE_FORMATS, made, actor=name_of(user))

        if len(made.files) == 1:
            return _download(made.name, made.files[made.name], got_there)
        return _download(f"{made.name.rpartition('.')[0] or made.name}.zip", _zipped(made.files), got_there)

    return _hand_out(request, user, bank, token, accept_language, taken, "reku agree21 files list")


@router.post("/files/outbox/{name}", response_class=Response)
def fetch_outgoing(
    request: Request,
    user: GetUserDep,
    name: Annotated[str, Path(max_length=200)],
    bank: _Bank = "",
    token: _Token = "",
    accept_language: AcceptLanguage = "",
) -> Response:
    """Hand out a file of the bank's outbox; it stays there for whoever else fetches it."""

    def taken(chosen: Institute) -> Response:
        return _download(name, fetch_from_outbox(engine(), chosen, name, actor=name_of(user)))

    return _hand_out(request, user, bank, token, accept_language, taken, "reku files list")


def _hand_out(
    request: Request,
    user: BaseUser,
    bank: str,
    token: str,
    accept_language: str,
    taken: Callable[[Institute], Response],
    command: str,
) -> Response:
    """What `taken` of the person's bank, if the form is good; else the page again, with why.

    `command`: what shows the files to those who run the platform, while storage or database are away.
    """
    if comes_from_elsewhere(request):
        raise HTTPException(403)
    chosen, _ = bank_of(user, bank)
    if not is_good(token, request, user, _about(chosen)):
        return _page(request, user, chosen.blz, accept_language, _OUTDATED, 409)
    try:
        return taken(chosen)
    except DBAPIError:
        raise HTTPException(503, command) from None
    except SetupError as error:
        said = Words(_NOT_NOW.german.format(error=error), _NOT_NOW.english.format(error=error))
        return _page(request, user, chosen.blz, accept_language, said, 503)
    except RekuError as error:
        return _page(request, user, chosen.blz, accept_language, Words(str(error), str(error)), 409)


def _about(bank: Institute) -> str:
    return f"files:{bank.blz}"


def _page(
    request: Request,
    user: BaseUser,
    wanted: str,
    accept_language: str,
    said: Words | None = None,
    status: int = 200,
    name: str = "",
) -> HTMLResponse:
    bank, mine = bank_of(user, wanted)
    try:
        values: dict[str, Any] = {
            "prepared": prepared_files_of(engine(), bank.blz, fetchable=True),
            "arrived": file_lines(engine(), bank.blz, most=_ARRIVED),
            "outgoing": outbox_files(bank)[::-1],
        }
    except (SetupError, DBAPIError):
        raise HTTPException(503, "reku agree21 files list") from None
    values |= {
        "bank": bank,
        "banks": mine,
        "kinds": uploads(),
        "largest": LARGEST >> 30,
        "token": make_token(request, user, _about(bank)),
        "who": name_of(user),
        "said": said,
        "good": status == 200,
        "name": name,
    }
    return page("files.html", accept_language, values, status)


def _zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _FIRST_MOMENT), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _download(name: str, data: bytes, got_there: Callable[[], None] = lambda: None) -> Response:
    """The file as a download; `got_there` is called when all of it was handed over, and a failure breaks it off.

    Its length is not told before, so that a browser notices a download that ends too early.
    """

    def blocks() -> Iterator[bytes]:
        for start in range(0, len(data), _BLOCK):
            yield data[start : start + _BLOCK]
        got_there()

    headers = HEADERS | {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return StreamingResponse(blocks(), media_type="application/octet-stream", headers=headers)
