"""An unusual delivery in the DAG of its occasion: a person is asked, in Airflow's own tables, and the answer counts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.release.question import APPROVE, DECLINE
from reku.store.states import Decision, DeliveryState
from reku.store.tables import deliveries, messages, releases, subscribers
from reku.views.funnel import funnel
from reku.views.trace import traces
from reku_testing import smtp
from reku_testing.bank_files import BANK, OTHER, people, reported
from reku_testing.by_blz import export
from reku_testing.dispatching import dispatch
from tests.orchestration.test_chain import DAG, Run, states_of

pytestmark = pytest.mark.airflow

DAY = "2026-11-24"
WAITING = "delivery.release[0]"


class Person(threading.Thread):
    """Waits until Airflow asks and answers as its pages do, with these reasons, the last one again and again.

    Without `answer`, time runs out.
    """

    def __init__(self, answer: str | None, *reasons: str | None) -> None:
        super().__init__(daemon=True)
        self._answer, self._reasons = answer, list(reasons or ("wrong people",))
        self._asked: dict[object, tuple[str, str, timedelta]] = {}  # dag.test may write a task's old state once more
        self.answers = 0
        self._over = threading.Event()
        self._metadata = sa.create_engine(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])

    def run(self) -> None:
        while not self._over.is_set():
            self._look()
            time.sleep(0.1)

    @property
    def questions(self) -> list[tuple[str, str, timedelta]]:
        """Headline and text of each question, and how long it may be answered."""
        return list(self._asked.values())

    def stop(self) -> None:
        self._over.set()
        self.join(30)
        self._metadata.dispose()

    def _look(self) -> None:
        from airflow.models.hitl import HITLDetail, HITLUser
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.trigger import handle_event_submit
        from airflow.triggers.base import TriggerEvent

        # a session of our own: while `dag.test` runs a task, Airflow's is taken away from this process
        with Session(self._metadata) as session, session.begin():
            waiting = session.scalars(
                sa.select(TaskInstance).where(TaskInstance.state == "awaiting_input").with_for_update(of=TaskInstance)
            ).all()
            for ti in waiting:
                detail = session.scalar(sa.select(HITLDetail).where(HITLDetail.ti_id == ti.id))
                self._asked[ti.id] = detail.subject, detail.body, ti.trigger_timeout - datetime.now(UTC)
                if self._answer is None:  # what the scheduler says when the time is over
                    event: dict[str, Any] = {"error": "timeout", "error_type": "timeout"}
                else:
                    if detail.responded_at is None:  # else it is the old state once more: the same answer again
                        detail.responded_by = HITLUser(id="7", name="Anna Aufsicht")
                        detail.responded_at = datetime.now(UTC)
                        detail.chosen_options = [self._answer]
                        detail.params_input = {"note": self._reasons[0]}
                        self._reasons = self._reasons[1:] or self._reasons
                        self.answers += 1
                    event = detail.as_resume_event_payload()
                handle_event_submit(TriggerEvent(event), task_instance=ti, session=session)


@contextmanager
def person(answer: str | None, *reasons: str | None) -> Iterator[Person]:
    someone = Person(answer, *reasons)
    someone.start()
    yield someone
    someone.stop()


def _row(engine: sa.Engine, table: sa.Table, delivery: int) -> Any:
    key = table.c.id if table is deliveries else table.c.delivery_id
    with engine.connect() as connection:
        return connection.execute(sa.select(table).where(key == delivery)).one()


def _xcoms(run: Any) -> str:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        return str(session.scalars(sa.select(XComModel.value).where(XComModel.run_id == run.run_id)).all())


def test_an_approved_delivery_is_mailed_and_never_asked_about_again(
    database: sa.Engine, relay: smtp.Sink, two_deliveries: int, run_dag: Run
) -> None:
    with person(APPROVE) as anna:
        run = run_dag(DAG, day=DAY)
        assert run.state == "success"
        assert len(relay.recipients) == 5
        assert run_dag(DAG, day=DAY).state == "success"
    ((subject, body, time_left),) = anna.questions
    assert subject == "Freigabe / Release: Sparkasse Musterstadt · Geburtstag_rund · 000001"
    assert "- Zeilen: 3" in body
    assert f"/reku/reports/{two_deliveries})" in body
    assert "person1@" not in body
    assert timedelta(hours=19) < time_left < timedelta(hours=20)  # from noon to 08:00
    kept = _row(database, releases, two_deliveries)
    assert (kept.decision, kept.actor) == (Decision.APPROVED, "Anna Aufsicht")
    assert "Anna" not in _xcoms(run)
    assert "Approve" not in _xcoms(run)


def test_a_declined_delivery_is_never_mailed_and_goes_back_row_by_row(
    database: sa.Engine, relay: smtp.Sink, two_deliveries: int, run_dag: Run
) -> None:
    with person(DECLINE) as anna:
        run = run_dag(DAG, day=DAY)
        states = states_of(run)
        assert run.state == "failed"
        assert states[WAITING] == "failed"
        late = ("upsert_subscribers", "dispatch", "collect_responses", "export_feedback")
        assert {states[f"delivery.{task}[0]"] for task in late} == {"upstream_failed"}
        assert {states[f"delivery.{task}[1]"] for task in late} == {"success"}
        assert len(relay.recipients) == 2  # the other bank's
        # the next run leaves it alone, and forcing it does not help
        assert run_dag(DAG, day=DAY).state == "success"
        with pytest.raises(StageError, match="declined by a person: it is not mailed"):
            dispatch(database, two_deliveries, day=clock.today())
    assert len(anna.questions) == 1
    assert len(relay.recipients) == 2
    assert _row(database, deliveries, two_deliveries).state == DeliveryState.DECLINED
    with database.connect() as connection:
        assert (
            connection.scalars(sa.select(messages.c.state).where(messages.c.delivery_id == two_deliveries)).all()
            == ["WITHHELD"] * 3
        )
        assert connection.scalars(sa.select(subscribers.c.institute).distinct()).all() == [OTHER]
    export(database, BANK)
    assert reported() == {("NVER", "FREIGABE_VERWEIGERT"): 3}
    (told,) = (row for row in funnel(database) if row.institute == BANK)
    assert (told.rows, told.accepted, told.not_loaded, told.adds_up) == (3, 3, 0, True)
    assert told.reasons == {"FREIGABE_VERWEIGERT": 3}
    (fate,) = traces(database, people(1)[0]["Referenz"], BANK)
    assert (fate.delivery_state, fate.state, fate.reason) == ("DECLINED", "WITHHELD", "FREIGABE_VERWEIGERT")
    assert [event["reason"] for event in fate.events] == ["FREIGABE_VERWEIGERT"]


def test_a_decline_without_a_reason_does_not_count(
    database: sa.Engine, relay: smtp.Sink, two_deliveries: int, run_dag: Run
) -> None:
    with person(DECLINE, None, "  ", "the consent is missing") as anna:
        run = run_dag(DAG, day=DAY)
    assert anna.answers == 3
    assert states_of(run)[WAITING] == "failed"
    kept = _row(database, releases, two_deliveries)
    assert (kept.decision, kept.actor) == (Decision.DECLINED, "Anna Aufsicht")
    assert kept.note == "answered in Airflow: the consent is missing"
    assert "consent" not in _xcoms(run)


def test_without_an_answer_nothing_is_sent_and_clearing_asks_again(
    database: sa.Engine, relay: smtp.Sink, two_deliveries: int, run_dag: Run
) -> None:
    with person(None) as nobody:
        run = run_dag(DAG, day=DAY)
        assert states_of(run)[WAITING] == "failed"
        assert len(relay.recipients) == 2
        kept = _row(database, releases, two_deliveries)
        assert (kept.decision, _row(database, deliveries, two_deliveries).state) == (None, "VALIDATED")
    assert len(nobody.questions) == 1
    with person(APPROVE) as anna:
        assert run_dag(DAG, day=DAY).state == "success"
    assert len(anna.questions) == 1
    assert len(relay.recipients) == 5


def test_an_answer_outlives_a_database_that_is_away(
    database: sa.Engine, relay: smtp.Sink, two_deliveries: int, run_dag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry would begin anew and ask again, and the answer would be lost."""
    monkeypatch.setattr("reku.orchestration.approval.DATABASE_AWAY", timedelta())
    with database.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE FUNCTION reku.away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " IF NEW.decision = 'APPROVED' AND nextval('reku.tries') < 3 THEN RAISE 'away'; END IF;"
                " RETURN NEW; END $$"
            )
        )
        connection.execute(sa.text("CREATE SEQUENCE reku.tries"))
        connection.execute(
            sa.text("CREATE TRIGGER away BEFORE UPDATE ON reku.releases FOR EACH ROW EXECUTE FUNCTION reku.away()")
        )
    try:
        with person(APPROVE) as anna:
            assert run_dag(DAG, day=DAY).state == "success"
    finally:
        with database.begin() as connection:
            tried = connection.scalar(sa.text("SELECT last_value FROM reku.tries"))
            connection.execute(sa.text("DROP FUNCTION reku.away CASCADE"))
            connection.execute(sa.text("DROP SEQUENCE reku.tries"))
    assert tried == 3
    assert len(anna.questions) == 1
    assert len(relay.recipients) == 5
