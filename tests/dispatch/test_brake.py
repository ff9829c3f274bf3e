"""The brake: too many refusals, whatever their class, end a dispatch or let a domain rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.catalogue.institute import RefusalLimits
from reku.dispatch import rate_limit
from reku.dispatch.brake import LEAST, WINDOW, Brake
from reku.foundation import clock
from reku.foundation.errors import PassingError, StageError
from reku.store.tables import messages, rate_limits, responses
from reku_testing.dispatching import (
    DAY,
    NINE,
    NO_CONTROL_COPY,
    NO_LIMITS,
    Sink,
    account,
    configure,
    dispatch,
    loaded,
    people,
    states,
)

NO = "550 5.1.1 unknown"


def stopped_at(answers: str, limits: RefusalLimits | None = None) -> int | None:
    """At which answer (from 1) the dispatch ends; `x`: refused, `.`: taken. Each to a domain of its own."""
    brake = Brake(limits or RefusalLimits())
    for number, answer in enumerate(answers, 1):
        if answer == ".":
            brake.taken(f"d{number}.example")
        elif brake.refused(f"d{number}.example", NO).stop:
            return number
    return None


@pytest.mark.parametrize(
    ("what", "answers", "at"),
    [
        ("all refused", "x" * 60, 20),
        ("a run after good ones", "." * 1000 + "x" * 60, 1020),
        ("a run that is broken", ("x" * 9 + "." * 100) * 5, None),
        ("one in three", ".x." * 100, 50),
        ("one in four", "...x" * 100, 52),
        ("one in five is the limit", "....x" * 400, None),
        ("one in ten", ".........x" * 400, None),
        ("few answers say nothing", ".x" * 24, None),
        ("a share after many good ones", "." * 5000 + "..x" * 100, 5123),
    ],
)
def test_what_ends_a_dispatch(what: str, answers: str, at: int | None) -> None:
    assert stopped_at(answers) == at, what


def test_limits_are_the_banks() -> None:
    assert stopped_at("x" * 9, RefusalLimits(in_a_row=5)) == 5
    assert stopped_at(".........x" * 10, RefusalLimits(share=0.05)) == LEAST
    assert stopped_at(".x" * 500, RefusalLimits(share=1)) is None


def test_the_window_is_counted_and_no_more() -> None:
    """The sum that is kept is the sum of what is looked at."""
    brake = Brake(RefusalLimits(in_a_row=1000, share=1, domain_share=1))
    for number in range(3 * WINDOW):
        if number % 3:
            brake.taken("a.example")
        else:
            brake.refused("a.example", NO)
        assert brake._all.refused == sum(words is not None for words in brake._all.last)
    assert len(brake._all.last) == WINDOW


def test_what_was_refused_is_told_most_frequent_first() -> None:
    brake = Brake(RefusalLimits())
    for number in range(19):
        brake.refused("a.example", "554 5.7.1 not you" if number % 4 else f"550 5.1.1 reason {number % 3}")
    stop = brake.refused("a.example", "554 5.7.1 not you").stop
    assert stop.startswith("refused 20 messages in a row: 15 × »554 5.7.1 not you«, 2 × »550 5.1.1 reason ")
    assert stop.endswith("and others")


def test_a_domain_rests_where_the_others_take_their_mails() -> None:
    brake = Brake(RefusalLimits())
    for _ in range(19):
        assert brake.refused("a.example", NO).rest == ""
        for _ in range(9):
            brake.taken("b.example")
    decision = brake.refused("a.example", NO)
    assert (decision.stop, decision.rest) == ("", f"refused 20 messages in a row: 20 × »{NO}«")


# In a dispatch

CLASSES = {
    "hard, for the sender": "550 5.1.1 User unknown; rejecting",
    "hard": "550 5.1.1 no such user",
    "block": "554 5.7.1 Sender address rejected",
    "soft": "552 5.2.2 mailbox full",
    "unknown": "554 no",
}


@pytest.mark.parametrize("answer", CLASSES.values(), ids=CLASSES)
def test_a_relay_that_refuses_everybody_ends_it_whatever_it_says(database: sa.Engine, sink: Sink, answer: str) -> None:
    """A hard bounce is none of 60 people's fault, and three of them retain a customer."""
    sink.say = lambda point, recipient: f"{answer} ({recipient})" if point == "rcpt" else None
    delivery = loaded(database, people(60))
    with pytest.raises(StageError, match=r"refused 20 messages in a row: 20 × »") as stopped:
        dispatch(database, delivery, day=DAY)
    assert f"»{answer} (…)«" in str(stopped.value)
    assert "kunde.example" not in str(stopped.value)
    assert not isinstance(stopped.value, PassingError)
    found = states(database)
    assert found["REJECTED"] <= 20 + 4  # those in hand were answered
    assert found["REJECTED"] + found["OPEN"] == 60


def test_a_share_ends_it_too(database: sa.Engine, sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY, NO_LIMITS])
    dead = {f"person{number}@kunde.example" for number in range(1, 200, 3)}
    sink.say = lambda point, recipient: NO if point == "rcpt" and recipient in dead else None
    with pytest.raises(StageError, match=r"refused \d+ of the last \d+ messages: \d+ × »550 5.1.1 unknown«"):
        dispatch(database, loaded(database, people(150)), day=DAY)
    assert states(database)["OPEN"] > 50


def test_a_kept_list_passes(database: sa.Engine, sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY, NO_LIMITS])
    dead = {f"person{number}@kunde.example" for number in range(1, 200, 10)}
    sink.say = lambda point, recipient: NO if point == "rcpt" and recipient in dead else None
    done = dispatch(database, loaded(database, people(150)), day=DAY)
    assert (done.sent, done.rejected) == (135, 15)


def test_a_domain_that_refuses_all_rests_and_is_asked_one_by_one(
    database: sa.Engine,
    sink: Sink,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock_at: Callable[[datetime], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY, (NO_LIMITS[0], "refusals: {in_a_row: 5, share: 1}\n")])
    monkeypatch.setattr(rate_limit, "SLOWED_FOR", (3600, 7200))
    sink.say = lambda point, recipient: NO if point == "rcpt" and recipient.endswith("@bad.example") else None
    rows = [row for pair in zip(people(40, domain="bad.example"), people(40, first=100), strict=True) for row in pair]
    delivery = loaded(database, rows)
    done = dispatch(database, delivery, day=DAY)
    assert done.sent == 40
    assert 5 <= done.rejected <= 5 + 2 * 4
    assert done.next_try is not None
    assert f"bad.example rests for a while: it refused 5 messages in a row: 5 × »{NO}«" in caplog.text
    rejected = states(database)["REJECTED"]
    _forget(database)
    clock_at(NINE + timedelta(hours=1, minutes=1))
    again = dispatch(database, delivery, day=DAY)  # no five more: it has taken none since
    assert again.rejected <= 2 * 4
    assert states(database)["OPEN"] == 40 - rejected - again.rejected
    sink.say = lambda _point, _recipient: None
    _forget(database)
    clock_at(NINE + timedelta(hours=4))
    assert dispatch(database, delivery, day=DAY).sent == 40 - rejected - again.rejected
    account(database, sink)


# A relay that wants less of us (4xx to MAIL FROM)


def test_a_relay_that_limits_us_is_waited_for(
    database: sa.Engine,
    sink: Sink,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock_at: Callable[[datetime], None],
) -> None:
    """Ten mails, then 450 for a while: nobody is blamed, nothing counts as a try, and the limit is told."""
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY, NO_LIMITS])
    asked: list[str] = []
    refusal = "450 4.7.1 <b+token@bounce.example>: too much mail from 192.0.2.7"

    def limited(point: str, _recipient: str) -> str | None:
        if point == "mail" and len(sink.taken) >= 10:
            asked.append(point)
            return refusal
        return None

    sink.say = limited
    delivery = loaded(database, people(60))
    done = dispatch(database, delivery, day=DAY)
    assert 10 <= done.sent <= 10 + 2 * 4
    assert (done.put_off, done.rejected, done.in_doubt) == (60 - done.sent, 0, 0)
    assert done.next_try is not None
    assert timedelta(seconds=20) < done.next_try - clock.now() <= timedelta(seconds=31)
    assert done.why_later == "the relay wants less of us for now: »450 4.7.1 <…>: too much mail from 192.0.2.7«"
    assert len(asked) <= 2 * 4  # those on their way; nobody else is tried
    with database.connect() as connection:
        open_ones = messages.c.state == "OPEN"
        assert set(connection.scalars(sa.select(messages.c.attempts).where(open_ones))) == {0}
        assert set(connection.scalars(sa.select(responses.c.kind))) == {"SENT"}
    before = len(asked)
    assert dispatch(database, delivery, day=DAY).sent == 0
    assert len(asked) == before  # it rests for whoever comes
    _forget(database)
    sink.say = lambda _point, _recipient: None
    clock_at(NINE + timedelta(minutes=1))
    assert dispatch(database, delivery, day=DAY).sent == 60 - done.sent
    account(database, sink)
    with database.connect() as connection:
        assert set(connection.scalars(sa.select(rate_limits.c.slowed))) == {0}


def _forget(engine: sa.Engine) -> None:
    """Let all the time pass that anybody has to wait for."""
    with engine.begin() as connection:
        connection.execute(sa.update(rate_limits).values(next_at=sa.func.clock_timestamp()))
