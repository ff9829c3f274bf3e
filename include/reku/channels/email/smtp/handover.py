"""Hand mails over to the relay on several kept connections at once (RFC 5321, RFC 2920), in one thread.

A mail is answered, lost (begun, and its answer never came) or returned (nothing of its content was sent). Each mail
taken becomes exactly one of these, whatever the relay does, except those that `start` forbids.
"""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from reku.channels.email.smtp.answers import Answer, Lost, NotPipelined, Outcome, SessionError
from reku.channels.email.smtp.mail_queue import Lookahead, MailQueue
from reku.channels.email.smtp.pipelined_connection import PipelinedConnection
from reku.channels.email.smtp.transport import TICK, Relay, open_transport
from reku.channels.email.smtp.wire import SmtpMail

log = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 3
"""So many connections lost without an answered mail in between end the hand-over."""
REOPEN_SECONDS = 30.0
"""After the relay has refused a further connection, another one is tried so much later."""
QUIT_SECONDS = 5.0
"""How long the answers to QUIT are waited for."""
_OF_THE_RECIPIENT = (Outcome.ACCEPTED, Outcome.REFUSED, Outcome.LATER)
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

    def __init__(self, queue: MailQueue, relay: Relay, most: int) -> None:
        self._queue, self._relay, self._most = queue, relay, most
        self._lookahead = Lookahead(queue, relay)
        self._selector = selectors.DefaultSelector()
        self._connections: list[PipelinedConnection] = []
        self._sending: set[PipelinedConnection] = set()  # those whose socket did not take everything at once
        self._pipelines = False  # whether the relay was seen to keep its word
        self._failures = 0  # connections lost since the relay last answered a mail
        self._open_at = self._heartbeat_at = 0.0

    def all(self) -> None:
        """Hand over until the queue has nothing more and everything is answered, then end the sessions."""
        while True:
            self._heartbeat()
            opened = self._give_work()
            if self._lookahead.is_exhausted and all(connection.idle for connection in self._connections):
                break
            self._receive(0.0 if opened else self._seconds_to_wait())
            self._give_up_overdue()
        self._quit()

    def _seconds_to_wait(self) -> float:
        until_next_mail = self._lookahead.seconds_to_wait
        return min(TICK / 2, until_next_mail) if until_next_mail > 0 else TICK / 2  # 0: every connection is busy

    def _heartbeat(self) -> None:
        moment = time.monotonic()
        if moment >= self._heartbeat_at:
            self._heartbeat_at = moment + TICK / 2
            self._queue.heartbeat()

    def _give_work(self) -> bool:
        """Each idle connection gets a mail. If none is idle and there is more, a connection is opened: then True."""
        for connection in self._connections:
            if connection.idle:
                if not connection.offer_next():
                    return False
                self._watch(connection)
        may_open = not self._connections or time.monotonic() >= self._open_at
        return len(self._connections) < self._most and may_open and self._lookahead.peek() is not None and self._open()

    def _open(self) -> bool:
        try:
            transport = open_transport(self._relay, self._heartbeat)
        except SessionError:  # but not LoginRefused, which ends all
            if not self._connections:
                raise
            self._open_at = time.monotonic() + REOPEN_SECONDS
            log.warning("The relay refuses a further connection; going on with %d", len(self._connections))
            return False
        connection = PipelinedConnection(
            transport,
            self._relay,
            self._lookahead,
            self._queue.start,
            self._answered,
            on_probation=not self._pipelines,
        )
        self._connections.append(connection)
        self._selector.register(transport.socket, selectors.EVENT_READ, connection)
        connection.offer_next()
        self._watch(connection)
        return True

    def _watch(self, connection: PipelinedConnection) -> None:
        if connection.transport.waits_to_send is not (connection in self._sending):
            self._sending ^= {connection}
            sending = selectors.EVENT_WRITE if connection in self._sending else 0
            self._selector.modify(connection.transport.socket, selectors.EVENT_READ | sending, connection)

    def _receive(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            self._go_on(key.data)

    def _go_on(self, connection: PipelinedConnection) -> None:
        try:
            connection.transport.flush()
            connection.receive()
        except Lost as lost:
            self._lose(connection, lost)
        else:
            self._watch(connection)

    def _give_up_overdue(self) -> None:
        moment = time.monotonic()
        for connection in [connection for connection in self._connections if moment > connection.deadline]:
            self._go_on(connection)  # the answer may have come while something else took its time
            if connection in self._connections and moment > connection.deadline:
                self._lose(connection, connection.overdue())

    def _lose(self, connection: PipelinedConnection, lost: Lost) -> None:
        self._close(connection)
        self._report_unfinished(connection)
        self._connections.remove(connection)
        if isinstance(lost, NotPipelined) and self._relay.pipelining:
            self._relay = replace(self._relay, pipelining=False)
            log.warning(
                "The relay %s offers PIPELINING and does not keep it: to an envelope sent as a whole it %s. Going on "
                "command by command; REKU_SMTP_PIPELINING=false spares the attempt",
                self._relay.place,
                lost,
            )
        if lost.expected:
            return
        self._failures += 1
        log.warning("The relay %s", lost)
        if self._failures >= FAILURES_IN_A_ROW:
            raise SessionError(
                f"The relay {self._relay.place} ended the session {FAILURES_IN_A_ROW} times in a row; at last it "
                f"{lost}. Everything not handed over is still open: clear `dispatch` once the relay answers again."
            )

    # What is reported to the queue; it may have another mail then.

    def _answered(self, mail: SmtpMail, answer: Answer) -> None:
        self._failures = 0
        self._pipelines = self._pipelines or answer.outcome in _OF_THE_RECIPIENT
        self._lookahead.ask_again()
        self._queue.answered(mail, answer)

    def _lost(self, mail: SmtpMail) -> None:
        self._lookahead.ask_again()
        self._queue.lost(mail)

    def _returned(self, mail: SmtpMail) -> None:
        self._lookahead.ask_again()
        self._queue.returned(mail)

    def _report_unfinished(self, connection: PipelinedConnection) -> None:
        begun, connection.begun = connection.begun, None
        if begun is not None:
            self._lost(begun)
        offered = connection.withdraw()
        if offered is not None:
            self._returned(offered)

    # The end

    def _quit(self) -> None:
        for connection in self._connections:
            connection.quit()
        end = time.monotonic() + QUIT_SECONDS
        while self._connections and time.monotonic() < end:
            self._receive(TICK)

    def drain(self, error: Exception) -> None:
        """After an error: begin nothing more, wait for the answers of what is begun, account for every mail."""
        while (mail := self._lookahead.take()) is not None:
            self._noting(error, self._returned, mail)
        for connection in self._connections:
            offered = connection.withdraw()
            if offered is not None:
                self._noting(error, self._returned, offered)
            if connection.begun is None:
                self._close(connection)
        self._noting(error, self._await_begun, error)
        for connection in self._connections:
            self._noting(error, self._report_unfinished, connection)

    def _await_begun(self, error: Exception) -> None:
        end = time.monotonic() + self._relay.drain_seconds
        while any(connection.begun is not None for connection in self._connections) and time.monotonic() < end:
            for key, _ in self._selector.select(TICK):
                self._noting(error, self._receive_last, key.data)

    def _receive_last(self, connection: PipelinedConnection) -> None:
        try:
            connection.transport.flush()
            connection.receive()
        except Lost:
            self._close(connection)
            self._report_unfinished(connection)
            return
        self._watch(connection)
        if connection.begun is None:
            self._close(connection)

    def _noting(self, error: Exception, call: Callable[[T], None], given: T) -> None:
        """Call it; what it raises is noted on the first error."""
        try:
            call(given)
        except Exception as further:  # noqa: BLE001 - not swallowed: told with the first
            error.add_note(f"After that: {type(further).__name__}: {further}")

    def _close(self, connection: PipelinedConnection) -> None:
        if connection.transport.socket.fileno() >= 0:
            self._sending.discard(connection)
            self._selector.unregister(connection.transport.socket)
            connection.transport.close()

    def close(self) -> None:
        """Close what is still open, without a word."""
        for connection in self._connections:
            self._close(connection)
        self._selector.close()
