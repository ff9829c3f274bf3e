"""Buttons that do something: asked to confirm, only for who may, only from the form that was shown, and once."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.orchestration.pages import form_token
from reku.store.states import DeliveryState
from reku.store.tables import audit, deliveries, messages
from reku_testing import smtp
from tests.orchestration.test_release import DAG, DAY, person

Token = Callable[..., str]
Run = Callable[..., Any]

pytestmark = pytest.mark.airflow


class Visitor:
    """A person with a session at Airflow's server, who presses buttons as a browser does."""

    def __init__(self, server: Any, token: str | None) -> None:
        self._server, self.token = server, token

    def get(self, path: str) -> Any:
        return self.get_in(path, "en")

    def get_in(self, path: str, language: str) -> Any:
        self._log_in()
        return self._server.get(path, headers={"Accept-Language": language})

    def post(self, path: str, form: dict[str, str], **headers: str) -> Any:
        self._log_in()
        return self._server.post(path, data=form, headers={"Accept-Language": "en"} | headers)

    def press(self, path: str, note: str = "because", **headers: str) -> Any:
        """Open the form and send it."""
        return self.post(path, {"token": token_in(self.get(path).text), "note": note}, **headers)

    def _log_in(self) -> None:
        self._server.cookies.clear()
        if self.token:
            self._server.cookies.set("_token", self.token)


def token_in(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    return found[1] if found else ""


@pytest.fixture
def user(airflow_server: Any, token_of: Token) -> Visitor:
    return Visitor(airflow_server, token_of("user"))


@pytest.fixture
def viewer(airflow_server: Any, token_of: Token) -> Visitor:
    return Visitor(airflow_server, token_of("viewer"))


@pytest.fixture
def asked(database: sa.Engine, clock_at: Any) -> int:
    """A delivery that a person is asked about."""
    from tests.process.test_acts import NOON, _validated

    clock_at(NOON)
    return int(_validated(database))


def state_of(engine: sa.Engine, delivery: int) -> str:
    with engine.connect() as connection:
        return str(connection.scalar(sa.select(deliveries.c.state).where(deliveries.c.id == delivery)))


def acts_on_record(engine: sa.Engine) -> list[tuple[str, str, str]]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(audit.c.actor, audit.c.action, audit.c.note).order_by(audit.c.id))
        return [tuple(row) for row in rows]


def test_it_is_confirmed_reasoned_done_once_and_put_on_record(user: Visitor, asked: int, database: sa.Engine) -> None:
    path = f"/reku/acts/decline?of={asked}"
    form = user.get(path)
    assert form.status_code == 200
    assert "<dd><strong>2</strong></dd>" in form.text, "the number of people concerned"
    assert "cannot be undone" in form.text
    assert "form-action 'self'" in form.headers["content-security-policy"]
    assert user.press(path, note="  \n ").status_code == 422
    assert state_of(database, asked) == DeliveryState.VALIDATED
    done = user.press(path, note="the  consent\nis missing")
    assert (done.status_code, "2 rows go back" in done.text) == (200, True)
    assert state_of(database, asked) == DeliveryState.DECLINED
    again = user.post(path, {"token": token_in(form.text), "note": "me too"})
    assert (again.status_code, "operator declined this delivery on 24.11.2026" in again.text) == (409, True)
    assert user.get(f"/reku/acts/approve?of={asked}").status_code == 409
    assert acts_on_record(database) == [("operator", "delivery declined", "the consent is missing")]


def test_only_the_form_that_was_shown_to_this_session_counts(
    airflow_server: Any, token_of: Token, user: Visitor, asked: int, database: sa.Engine, monkeypatch: Any
) -> None:
    path = f"/reku/acts/approve?of={asked}"
    good = token_in(user.get(path).text)
    other_session = Visitor(airflow_server, token_of("op"))
    other_act = token_in(user.get(f"/reku/acts/decline?of={asked}").text)
    for bad in (
        "",
        "1.abc",
        f"{int(time.time())}.{'0' * 64}",
        other_act,
        token_in(other_session.get(path).text),
        "é.é",
    ):
        answer = user.post(path, {"token": bad, "note": "kept <b>"})
        assert (answer.status_code, "nothing has been done" in answer.text) == (409, True), bad
        assert "kept &lt;b&gt;</textarea>" in answer.text, "what was written is not lost"
    for elsewhere in ("cross-site", "same-site"):
        assert user.post(path, {"token": good}, **{"Sec-Fetch-Site": elsewhere}).status_code == 403
    now = time.time()
    monkeypatch.setattr(form_token.time, "time", lambda: now + form_token.VALID_SECONDS + 2)
    assert user.post(path, {"token": good}).status_code == 409
    monkeypatch.undo()
    assert user.post(path, {"token": good}).status_code in (200, 409)


def test_who_may_only_look_sees_no_button_and_does_nothing(
    viewer: Visitor, user: Visitor, asked: int, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/reku/acts/approve?of={asked}"
    token = token_in(user.get(path).text)
    assert "/reku/acts/" not in viewer.get("/reku/today").text
    assert "/reku/acts/stop?of=everything" in user.get("/reku/today").text
    for answer in (viewer.get(path), viewer.post(path, {"token": token})):
        assert answer.status_code == 403
    from airflow.api_fastapi.app import get_auth_manager

    permitted: list[str] = []

    def may(**about: Any) -> bool:
        return bool(about["details"].id in permitted and about["method"] in ("GET", "PUT"))

    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", may)
    permitted[:] = ["reku_intake", "reku_mcal610"]
    assert user.post(path, {"token": token}).status_code == 403, "the delivery's own DAG counts"
    permitted[:] = ["reku_mcag002"]
    assert user.get("/reku/acts/stop?of=everything").status_code == 403
    assert state_of(database, asked) == DeliveryState.VALIDATED
    assert user.post(path, {"token": token}).status_code == 200


def test_a_session_that_ended_is_told_and_nothing_is_done(
    airflow_server: Any, user: Visitor, asked: int, database: sa.Engine
) -> None:
    path = f"/reku/acts/approve?of={asked}"
    token = token_in(user.get(path).text)
    answer = Visitor(airflow_server, None).post(path, {"token": token})
    assert answer.status_code == 401
    assert "Nothing has been done." in answer.text
    assert f"/auth/login?next=%2Freku%2Facts%2Fapprove%3Fof%3D{asked}" in answer.text
    assert state_of(database, asked) == DeliveryState.VALIDATED


@pytest.mark.parametrize(
    "path",
    ["acts/explode?of=1", "acts/approve?of=4711", "acts/approve?of=<script>", "acts/stop?of=99999999", "acts/approve"],
)
def test_what_does_not_exist_is_not_found(user: Visitor, asked: int, path: str) -> None:
    answer = user.get(f"/reku/{path}")
    assert answer.status_code == 404
    assert "<script" not in answer.text


def test_failed_tasks_are_tried_again_and_a_question_is_answered(
    airflow_server: Any,
    user: Visitor,
    viewer: Visitor,
    database: sa.Engine,
    relay: smtp.Sink,
    two_deliveries: int,
    run_dag: Run,
) -> None:
    """The first bank's delivery is asked about and nobody answers; the dispatch of the other's is stopped."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    stop = stop_switches.throw(database, institute=None, order=None, actor="otto", note="wrong subject")
    with person(None):
        run = run_dag(DAG, day=DAY)

    def tasks() -> dict[str, tuple[str | None, str]]:
        with create_session() as session:
            of = TaskInstance
            rows = session.execute(sa.select(of.task_id, of.map_index, of.state, of.id).where(of.run_id == run.run_id))
            return {f"{task}_{index}": (state, str(key)) for task, index, state, key in rows}

    failed = {name: key for name, (state, key) in tasks().items() if state == "failed"}
    (dispatch,) = (name for name in failed if name.startswith("delivery.dispatch"))
    page = user.get("/reku/today").text
    path = f"/reku/acts/try-again?of={failed[dispatch]}"
    assert path in page
    assert path not in viewer.get("/reku/today").text
    assert viewer.get(path).status_code == 403
    form = user.get(path).text
    assert "Geburtstag_rund · 000001 dispatch" in form
    assert "<dd><strong>2</strong></dd>" in form
    assert user.press(f"/reku/acts/lift?of={stop}").status_code == 200
    assert user.press(path).status_code == 200
    assert tasks()[dispatch][0] is None
    assert tasks()["report_-1"][0] is None
    assert user.get(path).status_code == 409, "the second person hears that it has been done"
    assert viewer.get("/reku/acts/try-all-again?of=all").status_code == 409, "nothing that a viewer may clear"

    (release,) = (name for name in failed if name.startswith("delivery.release"))
    with create_session() as session:
        waiting = session.get(TaskInstance, failed[release])
        waiting.state, waiting.next_method = "awaiting_input", "answered"
        question = session.scalar(sa.select(HITLDetail).where(HITLDetail.ti_id == waiting.id))
        assert question.responded_at is None
    assert user.press(f"/reku/acts/approve?of={two_deliveries}", note="it is the first one").status_code == 200
    assert state_of(database, two_deliveries) == DeliveryState.RELEASED
    assert tasks()[release][0] == "scheduled"
    with create_session() as session:
        question = session.scalar(sa.select(HITLDetail).where(HITLDetail.ti_id == failed[release]))
        assert question.params_input == {"note": "it is the first one"}
        assert question.responded_by["name"] == "operator"
    again = {name: tasks()[name][1] for name in (dispatch, release)}
    with create_session() as session:
        for key in again.values():
            task = session.get(TaskInstance, UUID(key))
            task.state, task.end_date = "failed", datetime.now(UTC)
    with database.begin() as connection:  # what failed by a decision asks nobody for anything
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))  # it was released above
        declined = sa.update(deliveries).where(deliveries.c.id == two_deliveries)
        connection.execute(declined.values(state=DeliveryState.DECLINED))
    page = user.get("/reku/today").text
    assert (again[release] in page, again[dispatch] in page) == (False, True)
    assert ">failed</a>" in user.get("/reku/matrix").text
    assert "1 × dispatch" in user.get("/reku/acts/try-all-again?of=all").text
    assert "Cleared: 1." in user.press("/reku/acts/try-all-again?of=all").text
    assert [action for _, action, _ in acts_on_record(database)] == [
        "stop",
        "lift stop",
        "try again",
        "delivery approved",
        "try again",
    ]
    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(messages)) == 2
