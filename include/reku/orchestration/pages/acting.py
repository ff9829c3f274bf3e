"""The pages by which a person acts: one asks to confirm and names whom it concerns, the other does it and says so."""

from __future__ import annotations

import re
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.exc import DBAPIError

from reku.foundation.errors import RekuError, SetupError
from reku.foundation.words import Words
from reku.orchestration.pages.form_token import comes_from_elsewhere, is_good, make_token
from reku.orchestration.pages.frame import AcceptLanguage, page
from reku.orchestration.pages.rights import OF_ALL, Rights, dag_of, name_of, visible_dags
from reku.orchestration.task_acts import AGAIN, AGAIN_ALL, acts_of, dag_of_task
from reku.process.acts.act import LONGEST_NOTE, Act, ActResult, Concern, carry_out
from reku.store.engine import engine

router = APIRouter()

_OUTDATED = Words(
    "Das Formular war abgelaufen oder gehörte zu einer anderen Anmeldung; nichts ist geschehen. Bitte noch einmal"
    " bestätigen.",
    "The form had run out or belonged to another login; nothing has been done. Please confirm again.",
)
_NO_REASON = Words("Nichts ist geschehen: eine Begründung fehlt.", "Nothing has been done: a reason is missing.")


class Asked:
    """An act on a thing, by a person who may do it."""

    def __init__(
        self,
        act: str,
        request: Request,
        user: GetUserDep,
        session: SessionDep,
        of: Annotated[str, Query(max_length=300)],
    ) -> None:
        """Raises HTTPException: 404 if there is no such act or thing, 403 if this person may not do it."""
        visible_dags(user)
        known = acts_of(session, user)
        if act not in known:
            raise HTTPException(404, "reku today")
        self.request, self.user, self.session = request, user, session
        self.name, self.act, self.subject = act, known[act], of
        self.concern = _look(self.act, of)
        # trying all again concerns many DAGs, and looks itself for what this person may do
        if act != AGAIN_ALL and not Rights(user).may_act(self._dag()):
            raise HTTPException(403)

    @property
    def about(self) -> str:
        return f"{self.name}:{self.subject}"

    def _dag(self) -> str:
        if self.name == AGAIN:
            return dag_of_task(self.session, self.subject) or OF_ALL
        return dag_of(self.concern.occasion)


AskedDep = Annotated[Asked, Depends()]


def _look(act: Act, subject: str) -> Concern:
    try:
        return act.look(engine(), subject)
    except (SetupError, DBAPIError):
        raise HTTPException(503, "reku today") from None
    except RekuError as error:
        raise HTTPException(404, str(error)) from None


@router.get("/acts/{act}", response_class=HTMLResponse)
def confirm(asked: AskedDep, accept_language: AcceptLanguage = "") -> HTMLResponse:
    """Ask whether it is to be done, with the number of people concerned; nothing is done yet."""
    return _form(asked, accept_language)


@router.post("/acts/{act}", response_class=HTMLResponse)
def do(
    asked: AskedDep,
    token: Annotated[str, Form(max_length=200)] = "",
    note: Annotated[str, Form(max_length=4 * LONGEST_NOTE)] = "",
    accept_language: AcceptLanguage = "",
) -> HTMLResponse:
    """Do it, once however many ask for it, and say so."""
    if comes_from_elsewhere(asked.request):
        raise HTTPException(403)
    reason = re.sub(r"\s+", " ", note).strip()[:LONGEST_NOTE]
    if not is_good(token, asked.request, asked.user, asked.about):
        return _form(asked, accept_language, _OUTDATED, reason, 409)
    if asked.act.needs_reason and not reason:
        return _form(asked, accept_language, _NO_REASON, reason, 422)
    asked.session.rollback()  # what was looked at is no longer held: somebody else may be at it just now
    try:
        result = carry_out(engine(), asked.act, asked.subject, actor=name_of(asked.user), note=reason)
    except (SetupError, DBAPIError):
        raise HTTPException(503, "reku today") from None
    except RekuError as error:
        return _form(asked, accept_language, Words(str(error), str(error)), reason, 409)
    return page("act.html", accept_language, _values(asked, result=result), 200 if result.done else 409)


def _form(
    asked: Asked, accept_language: str, problem: Words | None = None, note: str = "", status: int = 200
) -> HTMLResponse:
    if asked.concern.over is not None:
        result = ActResult(False, asked.concern.over)
        return page("act.html", accept_language, _values(asked, result=result), 409)
    token = make_token(asked.request, asked.user, asked.about)
    return page("act.html", accept_language, _values(asked, problem=problem, note=note, token=token), status)


def _values(asked: Asked, **more: Any) -> dict[str, Any]:
    return {
        "name": asked.name,
        "act": asked.act,
        "subject": asked.subject,
        "concern": asked.concern,
        "longest": LONGEST_NOTE,
        "result": None,
        "problem": None,
        "note": "",
        "token": "",
        "who": name_of(asked.user),
    } | more
