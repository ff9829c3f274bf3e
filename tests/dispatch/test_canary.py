"""The first mails go out, are waited for, and decide on the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.dispatch.canary import CanaryFault, go_on
from reku.foundation import clock
from reku.foundation.errors import PassingError, StageError
from reku.store.events import Event, record
from reku.store.kinds import EventKind
from reku.store.states import MessageState
from reku.store.tables import audit, messages
from reku_testing.dispatching import (
    DAY,
    NINE,
    NO_CONTROL_COPY,
    Sink,
    account,
    configure,
    dispatch,
    loaded,
    people,
    states,
)

PAUSE = timedelta(minutes=30)
CANARY = (
    "    name: Runde Geburtstage\n    active: true\n",
    "    name: Runde Geburtstage\n    active: true\n"
    "    canary: {first: 5, pause: 30m, max_bounce_share: 0.2, max_complaints: 1}\n",
)


@pytest.fixture(autouse=True)
def canary(sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first five, half an hour, one bounce and one complaint."""
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY, CANARY])


def _answer(engine: sa.Engine, **kinds: int) -> None:
    """So many of those who got a mail answer with each kind."""
    with engine.begin() as connection:
        sent = sa.select(messages.c.id).where(messages.c.state == MessageState.SENT).order_by(messages.c.id)
        ids = iter(connection.scalars(sent).all())
        events = [Event(next(ids), EventKind(kind), clock.now()) for kind, n in kinds.items() for _ in range(n)]
        record(connection, events)


def test_the_others_follow_after_the_pause(
    database: sa.Engine, sink: Sink, clock_at: Callable[[datetime], None]
) -> None:
    delivery = loaded(database, people(30))
    done = dispatch(database, delivery, day=DAY)
    assert (done.sent, done.put_off) == (5, 25)
    assert done.next_try is not None
    assert PAUSE - timedelta(minutes=1) < done.next_try - NINE < PAUSE + timedelta(minutes=1)
    clock_at(done.next_try - timedelta(seconds=1))
    again = dispatch(database, delivery, day=DAY)
    assert (again.sent, again.next_try) == (0, done.next_try)
    clock_at(done.next_try)
    assert dispatch(database, delivery, day=DAY).sent == 25
    assert states(database) == {"SENT": 30}
    account(database, sink)


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"BOUNCED_HARD": 1},
        {"BOUNCED_SOFT": 1},
        {"COMPLAINED": 1},
        {"BOUNCED_HARD": 1, "COMPLAINED": 1},
        {"OPENED": 5},
    ],
)
def test_so_much_is_borne(database: sa.Engine, clock_at: Callable[[datetime], None], answers: dict[str, int]) -> None:
    delivery = loaded(database, people(10))
    dispatch(database, delivery, day=DAY)
    _answer(database, **answers)
    clock_at(NINE + PAUSE + timedelta(minutes=1))
    assert dispatch(database, delivery, day=DAY).sent == 5
    _answer(database, UNSUBSCRIBED=1, BOUNCED_SOFT=5)
    assert dispatch(database, delivery, day=DAY).next_try is None  # it is not asked again


@pytest.mark.parametrize(
    "answers", [{"BOUNCED_HARD": 2}, {"BOUNCED_HARD": 1, "BOUNCED_SOFT": 1}, {"BOUNCED_UNKNOWN": 5}, {"COMPLAINED": 2}]
)
def test_so_much_is_not(
    database: sa.Engine, sink: Sink, clock_at: Callable[[datetime], None], answers: dict[str, int]
) -> None:
    delivery = loaded(database, people(10))
    dispatch(database, delivery, day=DAY)
    _answer(database, **answers)
    clock_at(NINE + PAUSE + timedelta(minutes=1))
    for _ in range(2):
        with pytest.raises(CanaryFault, match=f"go-on {delivery}"):
            dispatch(database, delivery, day=DAY)
    assert states(database) == {"SENT": 5, "OPEN": 5}
    assert len(sink.recipients) == 5
    go_on(database, delivery, actor="anna", note="old addresses, known")
    assert dispatch(database, delivery, day=DAY).sent == 5
    with database.connect() as connection:
        (entry,) = connection.execute(sa.select(audit)).all()
    assert (entry.actor, entry.action, entry.subject) == ("anna", "go on after canary", f"deliveries:{delivery}")


def test_what_the_relay_refuses_at_once_counts_as_bounced(
    database: sa.Engine, sink: Sink, clock_at: Callable[[datetime], None]
) -> None:
    nobody = ("person1@kunde.example", "person2@kunde.example")
    sink.say = lambda point, to: "550 5.1.1 no such user" if point == "rcpt" and to in nobody else None
    delivery = loaded(database, people(10))
    done = dispatch(database, delivery, day=DAY)
    assert (done.sent, done.rejected) == (3, 2)
    clock_at(NINE + PAUSE + timedelta(minutes=1))
    with pytest.raises(CanaryFault, match="2 bounced"):
        dispatch(database, delivery, day=DAY)


def test_who_gets_no_mail_is_none_of_the_first(database: sa.Engine, sink: Sink) -> None:
    delivery = loaded(database, people(20))
    with database.begin() as connection:
        first = connection.scalars(sa.select(messages.c.id).order_by(messages.c.id).limit(8)).all()
        connection.execute(sa.update(messages).where(messages.c.id.in_(first)).values(consent=False))
    done = dispatch(database, delivery, day=DAY)
    assert (done.sent, done.withheld) == (5, 8)
    assert sorted(sink.recipients) == sorted(f"person{number}@kunde.example" for number in range(9, 14))


def test_fewer_than_the_first_are_not_waited_for(database: sa.Engine) -> None:
    done = dispatch(database, loaded(database, people(4)), day=DAY)
    assert (done.sent, done.next_try) == (4, None)


def test_each_delivery_has_its_own(database: sa.Engine) -> None:
    for number in (17, 18):
        assert dispatch(database, loaded(database, people(9, first=number * 10), number=number), day=DAY).sent == 5


def test_rows_that_are_held_by_others_are_not_asked_for_for_ever(database: sa.Engine) -> None:
    delivery = loaded(database, people(9))
    with database.begin() as connection:
        connection.execute(sa.select(messages.c.id).with_for_update())
        with pytest.raises(PassingError, match="cannot be taken in hand"):
            dispatch(database, delivery, day=DAY)
    assert dispatch(database, delivery, day=DAY).sent == 5


def test_nothing_goes_on_for_a_delivery_that_is_none(database: sa.Engine) -> None:
    with pytest.raises(StageError, match="no delivery 4711"):
        go_on(database, 4711, actor="anna", note="")
