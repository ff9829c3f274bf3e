"""An unusual delivery in a day's work: a person is asked, and what is decided holds wherever it was said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.process.answers import AskPerson, Ending
from reku.process.decline import decline
from reku.process.run_day import PersonAnswer
from reku.process.stages.release import answer_by
from reku.release.decision import approve
from reku.store.states import Decision, DeliveryState
from reku.store.tables import deliveries, releases, responses
from reku_testing import smtp
from reku_testing.bank_files import deliver, people
from reku_testing.by_blz import take_in_all, validate
from tests.process.conftest import Work


class Person:
    """Answers as a test wants, after doing what else it wants; counts the questions."""

    def __init__(self, answer: PersonAnswer | None, before: Any = lambda: None) -> None:
        self._answer, self._before = answer, before
        self.asked: list[AskPerson] = []

    def __call__(self, asked: AskPerson) -> PersonAnswer | None:
        self.asked.append(asked)
        self._before()
        return self._answer


YES = PersonAnswer(approved=True, actor="Anna Aufsicht")


def _state(engine: sa.Engine, delivery: int) -> str:
    with engine.connect() as connection:
        return str(connection.scalar(sa.select(deliveries.c.state).where(deliveries.c.id == delivery)))


def _decided(engine: sa.Engine, delivery: int) -> sa.Row[Any]:
    with engine.connect() as connection:
        return connection.execute(sa.select(releases).where(releases.c.delivery_id == delivery)).one()


def test_after_a_decline_the_sender_may_deliver_the_same_people_under_a_new_number(
    database: sa.Engine, relay: smtp.Sink, two_deliveries: int, work: Work
) -> None:
    validate(database, two_deliveries)
    decline(database, two_deliveries, actor="ben", note="wrong day")
    deliver(2, people(3, 2))
    take_in_all(database)
    anna = Person(YES)
    assert work(person=anna).is_green
    assert len(anna.asked) == 1  # still the first one to go out
    assert len(relay.recipients) == 5


def test_the_question_names_bank_order_and_number_and_until_when(
    database: sa.Engine, relay: smtp.Sink, two_deliveries: int, work: Work
) -> None:
    anna = Person(YES)
    work(person=anna)
    (asked,) = anna.asked
    assert asked.label == "Sparkasse Musterstadt · Geburtstag_rund · 000001"
    assert asked.decision.delivery == two_deliveries
    assert asked.until == datetime(2026, 11, 25, 7, tzinfo=UTC)
    assert (_decided(database, two_deliveries).decision, _decided(database, two_deliveries).actor) == (
        Decision.APPROVED,
        "Anna Aufsicht",
    )


def test_what_was_decided_on_the_command_line_holds_when_the_time_is_over(
    database: sa.Engine, relay: smtp.Sink, two_deliveries: int, work: Work
) -> None:
    someone = Person(None, lambda: approve(database, two_deliveries, actor="ben", note="by telephone"))
    assert work(person=someone).is_green
    assert len(someone.asked) == 1
    assert len(relay.recipients) == 5


def test_of_two_answers_the_first_holds(database: sa.Engine, relay: smtp.Sink, two_deliveries: int, work: Work) -> None:
    """Declined on the command line while the stage waits; the approval comes too late."""
    both = Person(YES, lambda: decline(database, two_deliveries, actor="ben", note="wrong people"))
    assert work(person=both).ending("release", 0) is Ending.FAILED
    assert len(relay.recipients) == 2
    assert _decided(database, two_deliveries).actor == "ben"


def test_a_decline_is_recorded_as_a_whole_or_not_at_all(
    database: sa.Engine, two_deliveries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate(database, two_deliveries)
    monkeypatch.setattr("reku.process.decline.AT_ONCE", 2)
    monkeypatch.setattr("reku.dispatch.ledger.record", lambda *_: (_ for _ in ()).throw(StageError("cut off")))
    with pytest.raises(StageError, match="cut off"):
        decline(database, two_deliveries, actor="ben", note="")
    assert _state(database, two_deliveries) == DeliveryState.VALIDATED


def test_a_decline_in_batches_reaches_everybody_once(
    database: sa.Engine, two_deliveries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reku.process.decline.AT_ONCE", 2)
    validate(database, two_deliveries)
    assert decline(database, two_deliveries, actor="ben", note="") == 3
    assert decline(database, two_deliveries, actor="ben", note="") == 0
    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(responses)) == 3


@pytest.mark.parametrize(
    ("asked", "until"),
    [
        ((2026, 11, 24, 2, 15), (2026, 11, 25, 7, 0)),  # at night
        ((2026, 11, 24, 23, 30), (2026, 11, 26, 7, 0)),  # 00:30 of the 25th in Berlin
        ((2026, 3, 28, 11, 0), (2026, 3, 29, 6, 0)),  # summer time begins
    ],
)
def test_a_person_may_answer_until_the_next_morning(asked: tuple[int, ...], until: tuple[int, ...]) -> None:
    year, month, day, hour, minute = until
    assert answer_by(datetime(*asked, tzinfo=UTC)) == datetime(year, month, day, hour, minute, tzinfo=UTC)
