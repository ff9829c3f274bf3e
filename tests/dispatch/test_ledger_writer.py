"""What fails while the books are kept: no answer gets lost over it, and no mail that went out counts as never begun."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from reku.channels.email import queued_mails
from reku.channels.email.channel import EMAIL
from reku.dispatch import ledger_writer
from reku.dispatch.journal import Begun, Ended
from reku.dispatch.ledger import Due
from reku.dispatch.ledger_writer import ClaimLimits, LedgerWriter
from reku.foundation.errors import PassingError, SetupError
from reku.foundation.settings import settings
from reku.store.states import MessageState
from reku.store.tables import messages
from reku_testing import hostile, sessions
from reku_testing.dispatching import (
    DAY,
    NINE,
    NO_CONTROL_COPY,
    Sink,
    account,
    addresses_in,
    change_settings,
    claimed,
    configure,
    dispatch,
    loaded,
    people,
    plan,
    states,
)
from reku_testing.full_disk import full_disk


def test_the_last_answers_are_recorded_though_the_journals_disk_is_full(
    database: sa.Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_settings(monkeypatch, dispatch_batch=20)
    full = ExitStack()

    def fills_up(point: str, _recipient: str) -> None:
        if point == "dot" and len(sink.taken) == 30:
            full.enter_context(full_disk())

    sink.say = fills_up
    delivery = loaded(database, people(100))
    with full, pytest.raises(SetupError, match="is full"):
        dispatch(database, delivery, day=DAY)
    assert states(database).keys() == {"SENT", "OPEN"}
    assert states(database)["OPEN"] >= 100 - 30 - 20
    assert claimed(database) == 0
    dispatch(database, delivery, day=DAY)
    assert states(database) == {"SENT": 100}
    account(database, sink)


def test_mails_whose_recording_failed_are_not_opened_again(
    database: sa.Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database loses one session, answers all others, and so could well take in that the batch is at its end."""
    monkeypatch.setattr(ledger_writer, "RECORD_SECONDS", 0.0)
    change_settings(monkeypatch, dispatch_batch=20)
    locked = threading.Event()

    def lock_until_somebody_was_ended() -> None:
        with _nobody_writes_responses(database):
            locked.set()
            hostile.until(lambda: sessions.end_waiting(database))

    def stumbles(point: str, _recipient: str) -> None:
        if point == "dot" and len(sink.taken) == 10 and not locked.is_set():
            threading.Thread(target=lock_until_somebody_was_ended).start()
            locked.wait()

    sink.say = stumbles
    delivery = loaded(database, people(100))
    with pytest.raises(PassingError):
        dispatch(database, delivery, day=DAY)
    assert states(database)["OPEN"] < 100 - len(sink.taken)
    dispatch(database, delivery, day=DAY)
    assert states(database) == {"SENT": 100}
    assert claimed(database) == 0
    account(database, sink)


def test_a_mail_that_was_begun_and_never_accounted_for_is_in_doubt_and_not_open(
    database: sa.Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a fault of our own between the server's answer and its record."""
    change_settings(monkeypatch, smtp_connections=1)
    refused = "person5@kunde.example"
    sink.say = lambda point, to: "550 5.1.1 no" if point == "dot" and to == refused else None
    delivery = loaded(database, people(9))
    with monkeypatch.context() as broken:
        broken.setattr(queued_mails, "classify_bounce", None)
        with pytest.raises(TypeError):
            dispatch(database, delivery, day=DAY)
    assert dispatch(database, delivery, day=DAY).in_doubt == 1
    assert addresses_in(database, MessageState.IN_DOUBT) == [refused]
    assert states(database) == {"SENT": 8, "IN_DOUBT": 1}
    assert [mail.recipient for mail in sink.come].count(refused) == 1
    account(database, sink)


def test_a_disk_that_is_full_at_the_end_of_a_batch_loses_no_answer(database: sa.Engine, sink: Sink) -> None:
    delivery = loaded(database, people(1))
    terms = ClaimLimits(5, timedelta(minutes=1), settings().journals())
    writer = LedgerWriter(database, plan(database, delivery), EMAIL, Due(delivery, DAY), terms)
    hostile.until(lambda: writer.next_batch(held=0) is not None)
    with database.connect() as connection:
        row = connection.execute(sa.select(messages.c.id, messages.c.fence)).one()
    writer.begin(row.fence, Begun(row.id, NINE, "<1@bank.example>", "SCOM_GEBURTSTAG"))
    with full_disk(), pytest.raises(SetupError, match="is full"):
        writer.end(row.fence, Ended(row.id, "SENT", NINE, NINE, "250", "SENT"))
    assert writer.close() is None
    assert (states(database), claimed(database)) == ({"SENT": 1}, 0)


def test_answers_that_an_interruption_caught_on_their_way_to_the_database_stand_in_the_journal(
    database: sa.Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At a slow pace, so that at that moment no mail is begun that would keep the batch open anyhow."""
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY, ("per_second: 200", "per_second: 5")])
    change_settings(monkeypatch, smtp_connections=1)
    delivery = loaded(database, people(6))
    real, settled = ThreadPoolExecutor.submit, [0]

    def interrupted(pool: ThreadPoolExecutor, work: Any, *arguments: Any, **more: Any) -> Any:
        settled[0] += work.__name__ == "_settle"
        if settled[0] == 3:
            raise KeyboardInterrupt
        return real(pool, work, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(ledger_writer, "RECORD_SECONDS", 0.0)
        patch.setattr(ThreadPoolExecutor, "submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            dispatch(database, delivery, day=DAY)
    dispatch(database, delivery, day=DAY)
    assert (states(database), claimed(database)) == ({"SENT": 6}, 0)
    account(database, sink)


@contextmanager
def _nobody_writes_responses(engine: sa.Engine) -> Iterator[None]:
    with engine.begin() as connection:
        connection.execute(sa.text("LOCK TABLE reku.responses IN SHARE MODE"))
        yield


def test_one_journal_that_cannot_be_closed_holds_no_other() -> None:
    """A journal that stays open is locked, and keeps its batch from whoever dispatches next."""
    closed: list[int] = []

    class Journal:
        def __init__(self, number: int) -> None:
            self.number = number

        def close(self) -> None:
            closed.append(self.number)
            if self.number == 1:
                raise SetupError("is full")

    batches = {number: SimpleNamespace(journal=Journal(number)) for number in (0, 1, 2)}
    with pytest.raises(SetupError):
        ledger_writer._close_journals(batches)  # type: ignore[arg-type]  # nothing but their journals is looked at
    assert sorted(closed) == [0, 1, 2]
