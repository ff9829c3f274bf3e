"""Mails whose answer never came: what the occasion's policy makes of them (resolving by hand: `test_dispatch`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.dispatch.doubt import MOST_TRIES, in_doubt
from reku.store.tables import messages
from reku_testing.dispatching import (
    DAY,
    NINE,
    NO_CONTROL_COPY,
    Sink,
    account,
    configure,
    dispatch,
    events,
    loaded,
    people,
    states,
)

SECOND = "person2@kunde.example"
RESEND = ("priority: 3\n", "priority: 3\nin_doubt: resend\n")


def _breaks_off(sink: Sink, times: int) -> Callable[[str, str], None]:
    """The connection with the second person's mail is lost after its dot, so many times; the relay has the mail."""
    left = [times]

    def say(point: str, recipient: str) -> None:
        if point == "dot" and recipient == SECOND and left[0]:
            left[0] -= 1
            sink.taken.append(sink.come[-1])
            raise ConnectionResetError

    return say


@pytest.fixture
def resending(sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The occasion's policy is to send again."""
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY], occasion=[RESEND])


def test_by_default_it_is_never_sent_again(
    database: sa.Engine, sink: Sink, clock_at: Callable[[datetime], None]
) -> None:
    sink.say = _breaks_off(sink, 1)
    delivery = loaded(database, people(3))
    assert dispatch(database, delivery, day=DAY).in_doubt == 1
    for days in (0, 1, 30):
        clock_at(NINE + timedelta(days=days))
        dispatch(database, delivery, day=DAY + timedelta(days=days))
    assert states(database) == {"SENT": 2, "IN_DOUBT": 1}
    assert sink.recipients.count(SECOND) == 1
    (doubtful,) = in_doubt(database)
    assert doubtful.message_id.startswith("<")
    account(database, sink)


@pytest.mark.usefixtures("resending")
def test_by_policy_it_is_sent_again_with_the_same_message_id(database: sa.Engine, sink: Sink) -> None:
    sink.say = _breaks_off(sink, 1)
    delivery = loaded(database, people(3))
    done = dispatch(database, delivery, day=DAY)
    assert (done.sent, done.in_doubt) == (3, 1)
    assert states(database) == {"SENT": 3}
    assert events(database) == {("SENT", ""): 3}
    lost, again = (mail for mail in sink.taken if mail.recipient == SECOND)
    assert lost.message_id == again.message_id
    with database.connect() as connection:
        row = connection.execute(sa.select(messages).where(messages.c.person_number == "0000000002")).one()
    assert (row.message_id, row.attempts) == (again.message_id, 2)


@pytest.mark.usefixtures("resending")
def test_a_relay_that_always_breaks_off_gets_it_so_often_and_no_more(database: sa.Engine, sink: Sink) -> None:
    sink.say = _breaks_off(sink, 99)
    delivery = loaded(database, people(3))
    for _ in range(3):
        dispatch(database, delivery, day=DAY)
    assert Counter(sink.recipients)[SECOND] == MOST_TRIES
    assert states(database) == {"SENT": 2, "IN_DOUBT": 1}


@pytest.mark.usefixtures("resending")
def test_past_its_last_day_it_is_not_sent_again(
    database: sa.Engine, sink: Sink, clock_at: Callable[[datetime], None]
) -> None:
    delivery = loaded(database, people(1), last_day=date(2026, 11, 24), state="IN_DOUBT", begun_at=NINE, attempts=1)
    clock_at(NINE + timedelta(days=1))
    dispatch(database, delivery, day=DAY + timedelta(days=1))
    assert (sink.recipients, states(database)) == ([], {"IN_DOUBT": 1})
