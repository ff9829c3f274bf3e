"""Hand mails over to the relay on several kept connections at once (RFC 5321, RFC 2920), in one thread.

A mail is answered, unanswered (begun, and its answer never came: in doubt) or untouched (nothing of its content was
sent). Each mail taken becomes exactly one of these, whatever the relay does, except those that `start` forbids.
"""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Callable
from typing import TypeVar

from reku.channels.email.smtp.answers import Answer, Lost, Outcome, SessionError
from reku.channels.email.smtp.desk import Desk, MailQueue
from reku.channels.email.smtp.pipelined_connection import PipelinedConnection
from reku.channels.email.smtp.transport import DRAIN_SECONDS, LONGEST_ANSWER_SECONDS, TICK, Relay, open_session
from reku.channels.email.smtp.wire import Handable

__all__ = [
    "DRAIN_SECONDS",
    "LONGEST_ANSWER_SECONDS",
    "TICK",
    "Answer",
    "Handable",
    "MailQueue",
    "Outcome",
    "Relay",
    "SessionError",
    "hand_over",
]

log = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 3
"""So many connections lost without an answered mail in between end the hand-over."""
REOPEN_SECONDS = 30.0
"""After the relay has refused a further connection, another one is tried so much later."""
QUIT_SECONDS = 5.0
"""How long the answers to QUIT are waited for."""
T = TypeVar("T")


def hand_over(queue: MailQueue, relay: Relay, *, connections: int) -> None:
    """Hand over all that the queue gives, on up to so many connections, opened only as there is work for them.

    Raises SessionError or LoginRefused when the relay is the trouble, and what the queue's methods raise. Whatever it
    is, nothing more is begun then, answers of begun mails are waited for up to `relay.drain_seconds`, and every mail
    taken has been accounted for; further errors on that way are noted on the first. An interruption (Ctrl-C, a task's
    time limit) may have hit the middle of anything, so after it nothing is sent or accounted for any more.
    """
    if connections < 1:
        raise ValueError(f"{connections} connections: nothing could be handed over")
    run = _HandOver(queue, relay, connections)
    try:
        run.all()
    except Exception as error:  # whatever it was, what was taken is accounted for before it goes on
        run.drain(error)
        raise
    finally:
        run.close()


class _HandOver:
    """The loop over the connections."""

    def __init__(self, queue: MailQueue, relay: Relay, connections: int) -> None:
        self._desk, self._relay, self._connections = Desk(queue, relay), relay, connections
        self._selector = selectors.DefaultSelector()
        self._conversations: list[PipelinedConnection] = []
        self._sending: set[PipelinedConnection] = set()  # those whose connection did not take everything at once
        self._open_at = self._tick_at = 0.0

    def all(self) -> None:
        """Hand over until the queue has nothing more and everything is answered, then part."""
        while True:
            self._tick()
            opened = self._give_work()
            if self._desk.done and all(one.idle for one in self._conversations):
                break
            self._hear(0.0 if opened else self._seconds_to_wait())
            self._give_up_overdue()
        self._part()

    def _seconds_to_wait(self) -> float:
        until_next_mail = self._desk.seconds_to_wait
        return min(TICK / 2, until_next_mail) if until_next_mail > 0 else TICK / 2  # 0: every connection is busy

    def _tick(self) -> None:
        moment = time.monotonic()
        if moment >= self._tick_at:
            self._tick_at = moment + TICK / 2
            self._desk.heartbeat()

    def _give_work(self) -> bool:
        """Each idle connection gets a mail. If none is idle and there is more, a connection is opened: then True."""
        for one in self._conversations:
            if one.idle:
                if not one.offer_next():
                    return False
                self._watch(one)
        may_open = not self._conversations or time.monotonic() >= self._open_at
        return (
            len(self._conversations) < self._connections and may_open and self._desk.next() is not None and self._open()
        )

    def _open(self) -> bool:
        try:
            session = open_session(self._relay, self._tick)
        except SessionError:  # but not LoginRefused, which ends all
            if not self._conversations:
                raise
            self._open_at = time.monotonic() + REOPEN_SECONDS
            log.warning("The relay refuses a further connection; going on with %d", len(self._conversations))
            return False
        one = PipelinedConnection(session, self._desk, self._relay)
        self._conversations.append(one)
        self._selector.register(session.socket, selectors.EVENT_READ, one)
        one.offer_next()
        self._watch(one)
        return True

    def _watch(self, one: PipelinedConnection) -> None:
        if one.session.waits_to_send is not (one in self._sending):
            self._sending ^= {one}
            sending = selectors.EVENT_WRITE if one in self._sending else 0
            self._selector.modify(one.session.socket, selectors.EVENT_READ | sending, one)

    def _hear(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            self._attend(key.data)

    def _attend(self, one: PipelinedConnection) -> None:
        try:
            one.session.flush()
            one.hear()
        except Lost as lost:
            self._lose(one, lost)
        else:
            self._watch(one)

    def _give_up_overdue(self) -> None:
        moment = time.monotonic()
        for one in [one for one in self._conversations if moment > one.deadline]:
            self._attend(one)  # the answer may have come while something else took its time
            if one in self._conversations and moment > one.deadline:
                self._lose(one, Lost("did not answer in time"))

    def _lose(self, one: PipelinedConnection, lost: Lost) -> None:
        self._shut(one)
        self._account(one)
        self._conversations.remove(one)
        if lost.expected:
            return
        self._desk.failures += 1
        log.warning("The relay %s", lost)
        if self._desk.failures >= FAILURES_IN_A_ROW:
            raise SessionError(
                f"The relay {self._relay.place} ended the session {FAILURES_IN_A_ROW} times in a row; at last it "
                f"{lost}. Everything not handed over is still open: clear `dispatch` once the relay answers again."
            )

    def _account(self, one: PipelinedConnection) -> None:
        begun, one.begun = one.begun, None
        if begun is not None:
            self._desk.lost(begun)
        offered = one.withdraw()
        if offered is not None:
            self._desk.returned(offered)

    # The end

    def _part(self) -> None:
        for one in self._conversations:
            one.quit()
        end = time.monotonic() + QUIT_SECONDS
        while self._conversations and time.monotonic() < end:
            self._hear(TICK)

    def drain(self, error: Exception) -> None:
        """After an error: begin nothing more, wait for the answers of what is begun, account for every mail."""
        while (mail := self._desk.pick_up()) is not None:
            self._noting(error, self._desk.returned, mail)
        for one in self._conversations:
            offered = one.withdraw()
            if offered is not None:
                self._noting(error, self._desk.returned, offered)
            if one.begun is None:
                self._shut(one)
        self._noting(error, self._await_begun, error)
        for one in self._conversations:
            self._noting(error, self._account, one)

    def _await_begun(self, error: Exception) -> None:
        end = time.monotonic() + self._relay.drain_seconds
        while any(one.begun is not None for one in self._conversations) and time.monotonic() < end:
            for key, _ in self._selector.select(TICK):
                self._noting(error, self._hear_last, key.data)

    def _hear_last(self, one: PipelinedConnection) -> None:
        try:
            one.session.flush()
            one.hear()
        except Lost:
            self._shut(one)
            self._account(one)
            return
        self._watch(one)
        if one.begun is None:
            self._shut(one)

    def _noting(self, error: Exception, call: Callable[[T], None], given: T) -> None:
        try:
            call(given)
        except Exception as further:  # noqa: BLE001 - not swallowed: told with the first
            error.add_note(f"After that: {type(further).__name__}: {further}")

    def _shut(self, one: PipelinedConnection) -> None:
        if one.session.socket.fileno() >= 0:
            self._sending.discard(one)
            self._selector.unregister(one.session.socket)
            one.session.close()

    def close(self) -> None:
        """Close what is still open, without a word."""
        for one in self._conversations:
            self._shut(one)
        self._selector.close()
