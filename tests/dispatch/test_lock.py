"""Two dispatchers at once, as real processes: of one delivery only one works; of two, nobody gets two mails."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.dispatch.lock import StillRunning, delivery_lock
from reku.store.locks import Lock, is_held_by
from reku_testing import hostile
from reku_testing.dispatching import (
    DAY,
    NO_CONTROL_COPY,
    Sink,
    account,
    change_settings,
    claimed,
    configure,
    dispatch,
    environment,
    loaded,
    people,
    states,
)
from reku_testing.forker import PASSING, Forker

pytestmark = pytest.mark.processes


def test_a_second_dispatcher_of_a_delivery_is_told_that_the_first_still_runs(
    database: sa.Engine, sink: Sink, forker: Forker
) -> None:
    sink.seconds = 0.02
    delivery = loaded(database, people(60))
    first, second = (forker.start(delivery, DAY, environment()) for _ in range(2))
    hostile.until(lambda: len(sink.recipients) > 5)
    with pytest.raises(StillRunning):
        dispatch(database, delivery, day=DAY)
    assert {first.ended(), second.ended()} == {0, PASSING}
    assert Counter(sink.recipients) == Counter({f"person{number}@kunde.example": 1 for number in range(1, 61)})
    assert states(database) == {"SENT": 60}


def test_two_deliveries_of_an_order_at_once_write_to_everybody_once(
    database: sa.Engine, sink: Sink, forker: Forker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY])
    change_settings(monkeypatch, dispatch_batch=7)

    def waits_for_both(point: str, _recipient: str) -> None:
        if point == "dot" and not sink.taken:
            hostile.until(lambda: claimed(database) > 1)

    sink.say = waits_for_both
    several = [loaded(database, people(80), number=17), loaded(database, list(reversed(people(80))), number=18)]
    both = [forker.start(delivery, DAY, environment()) for delivery in several]
    assert [one.ended() for one in both] == [0, 0]
    assert states(database) == {"SENT": 80, "WITHHELD": 80}
    assert len(sink.recipients) == 80
    assert all(states(database, delivery)["SENT"] for delivery in several)
    account(database, sink)


def test_the_lock_ends_with_its_session_and_another_may_ask_for_it(database: sa.Engine) -> None:
    with database.connect() as other:

        def holds(session: int, delivery: int) -> bool:
            return is_held_by(other, session, Lock.DELIVERY, delivery)

        with delivery_lock(database, 7) as lock:
            assert holds(lock.session, 7)
            assert not holds(lock.session, 8)
            assert not holds(lock.session + 1, 7)
            with delivery_lock(database, 8), pytest.raises(StillRunning), delivery_lock(database, 7):
                pass
            other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": lock.session})
            hostile.until(lambda: not holds(lock.session, 7))
        with delivery_lock(database, 7) as again:
            assert again.session != lock.session
