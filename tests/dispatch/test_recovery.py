"""What a dispatcher leaves that died, and what one says that was thought dead."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.channels.email.channel import EMAIL
from reku.dispatch.claim import Batch, claim
from reku.dispatch.doubt import in_doubt
from reku.dispatch.journal import Begun, Ended
from reku.dispatch.ledger import Due
from reku.dispatch.lock import StillRunning
from reku.dispatch.recovery import RecoveryResult, StillLeased, recover
from reku.foundation import clock
from reku.foundation.settings import settings
from reku.store.locks import Lock, session_lock
from reku.store.tables import claims
from reku_testing import hostile, sessions
from reku_testing.dispatching import (
    DAY,
    Sink,
    account,
    change_settings,
    claimed,
    dispatch,
    environment,
    events,
    loaded,
    people,
    plan,
    states,
)
from reku_testing.forker import PASSING, Forker

LEASE = timedelta(seconds=2)


def _claimed(engine: sa.Engine, delivery: int, journals: Path, *, lease: timedelta = LEASE) -> Batch:
    batch = claim(engine, plan(engine, delivery), EMAIL, Due(delivery, DAY), limit=5, journals=journals, lease=lease)
    assert batch is not None
    return batch


def _sent(id_: int) -> Ended:
    return Ended(id_, "SENT", clock.now(), clock.now(), "250 2.0.0", "SENT", "", f"<{id_}@bank.example>")


def _one_answered_one_begun(batch: Batch) -> None:
    """As a dispatcher leaves its journal that is killed while its second mail is on its way."""
    (_, first), (_, second), *_ = batch.messages
    batch.journal.begin(Begun(first.id, clock.now(), f"<{first.id}@bank.example>", "SCOM_GEBURTSTAG"))
    batch.journal.end(_sent(first.id))
    batch.journal.begin(Begun(second.id, clock.now(), f"<{second.id}@bank.example>", "SCOM_GEBURTSTAG"))
    batch.journal.close()


def _end_lease(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(claims).values(lease_until=sa.func.clock_timestamp()))


def _journal() -> Path:
    (file,) = settings().journals().iterdir()
    return file


def test_with_the_journal_only_what_was_begun_and_not_answered_is_in_doubt(database: sa.Engine, sink: Sink) -> None:
    delivery = loaded(database, people(8))
    _one_answered_one_begun(_claimed(database, delivery, settings().journals(), lease=timedelta(hours=1)))
    assert recover(database, delivery, settings().journals()) == RecoveryResult(1, 1, 1)
    assert states(database) == {"SENT": 1, "IN_DOUBT": 1, "OPEN": 6}
    assert events(database) == {("SENT", ""): 1}
    assert claimed(database) == 0
    assert list(settings().journals().iterdir()) == []
    (doubtful,) = in_doubt(database)
    assert doubtful.message_id.endswith("@bank.example>")
    assert recover(database, delivery, settings().journals()) == RecoveryResult()
    assert dispatch(database, delivery, day=DAY).sent == 6
    assert len(sink.recipients) == 6


def _vanished() -> None:
    shutil.rmtree(settings().journals())


def _of_an_earlier_start() -> None:
    first, rest = _journal().read_bytes().split(b"\n", 1)
    _journal().write_bytes(first.replace(b"-", b"+") + b"\n" + rest)


def _zeros() -> None:
    _journal().write_bytes(bytes(_journal().stat().st_size))


def _of_an_earlier_start_and_its_end_lost() -> None:
    _of_an_earlier_start()
    data = _journal().read_bytes()
    end = data.index(b"\n", data.index(b"SENT")) + 10
    _journal().write_bytes(data[:end] + bytes(len(data) - end))


@pytest.mark.parametrize(
    ("damage", "sent"),
    [(_vanished, 0), (_of_an_earlier_start, 1), (_of_an_earlier_start_and_its_end_lost, 1), (_zeros, 0)],
)
def test_without_a_whole_journal_nothing_is_touched_before_the_lease_has_ended(
    database: sa.Engine, sink: Sink, damage: Callable[[], None], sent: int
) -> None:
    delivery = loaded(database, people(8))
    _one_answered_one_begun(_claimed(database, delivery, settings().journals(), lease=timedelta(hours=1)))
    damage()
    with pytest.raises(StillLeased, match="silent"):
        dispatch(database, delivery, day=DAY)
    assert states(database) == {"CLAIMED": 5, "OPEN": 3}
    assert sink.recipients == []
    _end_lease(database)
    done = dispatch(database, delivery, day=DAY)
    assert states(database) == {"SENT": 3 + sent, "IN_DOUBT": 5 - sent}
    assert (done.sent, done.in_doubt) == (3, 5 - sent)
    assert len(in_doubt(database)) == 5 - sent
    assert sorted(sink.recipients) == [f"person{number}@kunde.example" for number in (6, 7, 8)]


def test_a_torn_last_line_was_not_written_when_the_mail_was_begun(database: sa.Engine, sink: Sink) -> None:
    """And so no byte of that mail has gone out."""
    delivery = loaded(database, people(8))
    batch = _claimed(database, delivery, settings().journals(), lease=timedelta(hours=1))
    _one_answered_one_begun(batch)
    with _journal().open("ab") as file:
        file.write(f'["begun",{batch.messages[2][1].id},"2026-'.encode())
    assert recover(database, delivery, settings().journals()) == RecoveryResult(1, 1, 1)
    assert states(database) == {"SENT": 1, "IN_DOUBT": 1, "OPEN": 6}


def test_a_batch_in_living_hands_is_left_alone_whatever_its_lease(database: sa.Engine, sink: Sink) -> None:
    delivery = loaded(database, people(8))
    batch = _claimed(database, delivery, settings().journals())
    _end_lease(database)
    with pytest.raises(StillLeased, match="on this machine"):
        dispatch(database, delivery, day=DAY)
    assert states(database) == {"CLAIMED": 5, "OPEN": 3}
    batch.journal.close()
    assert dispatch(database, delivery, day=DAY).sent == 8


def test_a_journal_left_by_a_claim_that_was_rolled_back_says_nothing(
    database: sa.Engine, sink: Sink, tmp_path: Path
) -> None:
    """Here a process died between its journal and its commit; the next claim came from another machine, now lost."""
    delivery = loaded(database, people(8))
    dies = sa.text("SELECT pg_terminate_backend(pg_backend_pid())")
    sa.event.listen(database, "commit", lambda connection: connection.execute(dies), once=True)
    with pytest.raises(sa.exc.OperationalError):
        _claimed(database, delivery, settings().journals())
    assert _journal().exists()
    _one_answered_one_begun(_claimed(database, delivery, tmp_path / "disk of another machine"))
    with pytest.raises(StillLeased):
        recover(database, delivery, settings().journals())
    _end_lease(database)
    recover(database, delivery, settings().journals())
    assert states(database) == {"IN_DOUBT": 5, "OPEN": 3}


def test_a_claim_without_messages_left_is_closed(database: sa.Engine, sink: Sink) -> None:
    delivery = loaded(database, people(5))
    batch = _claimed(database, delivery, settings().journals())
    for _, message in batch.messages:
        batch.journal.begin(Begun(message.id, clock.now(), "", ""))
        batch.journal.end(_sent(message.id))
    batch.journal.close()
    assert recover(database, delivery, settings().journals()) == RecoveryResult(1, 5, 0)
    assert (states(database), claimed(database)) == ({"SENT": 5}, 0)


@pytest.mark.processes
def test_a_dispatcher_that_was_thought_lost_is_believed_when_it_answers(
    database: sa.Engine, sink: Sink, forker: Forker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is stopped with mails in its hands, another one takes over after its lease; then it wakes up again."""
    change_settings(
        monkeypatch, lease_seconds=10, dispatch_batch=10, smtp_connections=3, journal_dir=tmp_path / "its own disk"
    )
    stopped: list[str] = []

    def stops_it(point: str, recipient: str) -> None:
        if point == "dot" and len(sink.taken) >= 5:
            stopped.append(recipient)
            if len(stopped) == 1:
                os.kill(first.pid, signal.SIGSTOP)

    sink.say = stops_it
    delivery = loaded(database, people(40))
    first = forker.start(delivery, DAY, environment())
    try:
        hostile.until(lambda: bool(stopped))
        time.sleep(0.1)  # the answers on the other connections come as well
        sink.say = lambda _point, _recipient: None
        change_settings(monkeypatch, journal_dir=tmp_path / "another disk")
        with pytest.raises(StillRunning):
            dispatch(database, delivery, day=DAY)
        sessions.end_holder(database, Lock.DELIVERY, delivery)
        _take_over(database, delivery)
        doubtful = states(database)["IN_DOUBT"]
        assert doubtful >= len(stopped)
        assert states(database).keys() == {"SENT", "IN_DOUBT"}
        received = list(sink.recipients)
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert first.ended() == PASSING
    assert states(database)["IN_DOUBT"] <= doubtful - len(stopped)
    assert sink.recipients == received  # it began nothing more
    account(database, sink)


def _take_over(engine: sa.Engine, delivery: int) -> None:
    """Another dispatcher is refused while the leases hold, and goes on once they have ended."""
    with pytest.raises(StillLeased):
        dispatch(engine, delivery, day=DAY)
    with engine.begin() as connection:
        connection.execute(sa.update(claims).values(lease_until=sa.func.clock_timestamp()))
    dispatch(engine, delivery, day=DAY)


@pytest.mark.processes
def test_a_machine_that_is_lost(
    database: sa.Engine, sink: Sink, forker: Forker, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_settings(monkeypatch, lease_seconds=10, dispatch_batch=10, smtp_connections=3)
    sink.seconds = 0.005
    delivery = loaded(database, people(60))
    lost = forker.start(delivery, DAY, environment())
    hostile.until(lambda: len(sink.taken) > 12)
    os.kill(lost.pid, signal.SIGKILL)
    lost.ended()
    shutil.rmtree(settings().journals())
    _until_unlocked(database, delivery)
    held = states(database)["CLAIMED"]
    assert held
    _take_over(database, delivery)
    assert states(database)["IN_DOUBT"] == held == len(in_doubt(database))
    assert states(database)["SENT"] == 60 - held
    account(database, sink)


def _until_unlocked(engine: sa.Engine, delivery: int) -> None:
    """PostgreSQL notices the death of a client a moment later."""
    while True:
        with session_lock(engine, Lock.DELIVERY, delivery) as connection:
            if connection is not None:
                return
        time.sleep(0.01)
