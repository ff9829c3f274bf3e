"""What is said on one connection: mail after mail, the next envelope ahead where the relay takes it (RFC 2920).

Only the answer to this person's RCPT or DATA says anything about the person. An answer to MAIL FROM is about us.
"""

from __future__ import annotations

import math
import time
from collections import deque
from enum import Enum, auto

from reku.channels.email.smtp.answers import Answer, Lost, Reply, SessionError, answer_of
from reku.channels.email.smtp.desk import Desk
from reku.channels.email.smtp.transport import Relay, SmtpTransport
from reku.channels.email.smtp.wire import Handable, content_of, envelope_of


class Step(Enum):
    """What a reply is awaited to."""

    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    DOT = auto()  # the final dot of a mail
    LONE_DOT = auto()  # the end of a transaction whose recipient was refused, but whose DATA was not
    RSET = auto()
    QUIT = auto()


_ENVELOPE = (Step.MAIL, Step.RCPT, Step.DATA)
_GOOD = {Step.RSET: (2,), Step.LONE_DOT: (4, 5)}


class PipelinedConnection:
    """One connection and what is on its way there. `offered`: the mail whose envelope is out, and none of its content.

    `begun`: the mail whose content is out, and whose answer is not here; never more than this one. `deadline`: when the
    next reply is overdue, on the monotonic clock.
    """

    def __init__(self, session: SmtpTransport, desk: Desk, relay: Relay) -> None:
        self.session, self._desk, self._relay = session, desk, relay
        self.offered: Handable | None = None
        self.begun: Handable | None = None
        self.deadline = math.inf
        self._awaited: deque[Step] = deque()
        self._commands: deque[bytes] = deque()  # without PIPELINING: the envelope's commands still to be said
        self._refused = False
        self._behind_dot = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._awaited

    def offer_next(self) -> bool:
        """With nothing on its way: say the next mail's envelope. False if there is none."""
        mail = self._desk.next_for(self.session.offers)
        if mail is None:
            return False
        envelope = envelope_of(mail, self.session.offers)
        self._pick_up(mail)
        if self.session.offers.pipelining:
            self._awaited.extend(_ENVELOPE)
            self.session.send(envelope)
        else:
            self._commands.extend(envelope.splitlines(keepends=True))
            self._say(Step.MAIL, self._commands.popleft())
        self._wait()
        return True

    def quit(self) -> None:
        """With nothing on its way: say good-bye."""
        self._say(Step.QUIT, b"QUIT\r\n")
        self._wait()

    def withdraw(self) -> Handable | None:
        """Begin nothing more; only a begun mail's answer is still awaited. Returns the mail that was offered."""
        mail, self.offered = self.offered, None
        self._awaited = deque([Step.DOT] if self.begun else [])
        return mail

    def hear(self) -> None:
        """Take in what has arrived and go on. Raises Lost at the connection's end; SessionError if we are refused."""
        idle, heard = self.idle or self._awaited[0] is Step.QUIT, False
        try:
            self.session.receive()
            while (reply := self.session.replies.next()) is not None:
                if not self._awaited:
                    raise Lost("spoke unasked", expected=True)
                self._take_in(self._awaited.popleft(), reply)
                heard = True
            if idle and self.session.replies.left:
                raise Lost("spoke unasked")
            if heard:  # half a reply buys no time
                self._wait()
        except Lost as lost:
            lost.expected = lost.expected or idle
            raise

    def _wait(self) -> None:
        """From now on the next reply is awaited. The end of a mail's time was set when it was begun."""
        if not self._awaited:
            self.deadline = math.inf
        elif self._awaited[0] is not Step.DOT:
            self.deadline = time.monotonic() + self._relay.command_seconds

    def _say(self, step: Step, command: bytes) -> None:
        self._awaited.append(step)
        self.session.send(command)

    def _pick_up(self, mail: Handable) -> None:
        self._desk.pick_up()
        self.offered, self._refused = mail, False

    def _take_in(self, step: Step, reply: Reply) -> None:
        if step is Step.DOT:
            self._content_answered(reply)
        elif step is Step.MAIL:
            self._sender_answered(reply)
        elif step is Step.RCPT:
            self._recipient_answered(reply)
        elif step is Step.DATA:
            self._data_answered(reply)
        elif step is Step.QUIT:
            raise Lost("closed the connection", expected=True)
        elif reply.kind not in _GOOD[step]:
            raise Lost(f"answered {step.name} with {reply.code}")
        if reply.code == 421:
            raise Lost("closed the connection", expected=True)

    def _sender_answered(self, reply: Reply) -> None:
        if reply.kind == 3:
            raise Lost(f"answered MAIL with {reply.code}")
        if reply.code == 421:
            raise Lost("closed the connection with 421")
        if reply.kind != 2:
            raise SessionError(
                f"The relay {self._relay.place} refused MAIL FROM with {answer_of(reply).short}: that is about us, not "
                "about the person. Everything not handed over is still open: have the relay accept our sender, then "
                "clear `dispatch`."
            )
        if self._commands:
            self._say(Step.RCPT, self._commands.popleft())

    def _recipient_answered(self, reply: Reply) -> None:
        if reply.kind == 2:
            if self._commands:
                self._say(Step.DATA, self._commands.popleft())
            return
        self._refused = True
        self._report(answer_of(reply))
        if self._commands and reply.code != 421:
            self._commands.clear()
            self._say(Step.RSET, b"RSET\r\n")

    def _data_answered(self, reply: Reply) -> None:
        if reply.kind == 2:  # taken for the answer to a mail, it would be a mail that was never sent
            raise Lost(f"answered DATA with {reply.code}")
        if self.session.replies.left:
            raise Lost("said more than was asked")  # taken for the answer to the mail: the same
        if reply.kind == 3:
            if self._refused:
                self._go_on(Step.LONE_DOT, b".\r\n")  # RFC 2920 section 3.1
            else:
                self._begin()
            return
        if not self._refused:
            self._report(answer_of(reply))
        if reply.code != 421:
            self._go_on(Step.RSET, b"RSET\r\n")

    def _begin(self) -> None:
        mail, ahead = self.offered, self._ahead()
        if mail is None:
            raise Lost("said more than was asked")
        content = content_of(mail.data)
        envelope = envelope_of(ahead, self.session.offers) if ahead else b""
        if not self._desk.start(mail):
            self.offered = None
            raise Lost("had to be left in the middle of a mail", expected=True)  # without a dot: nothing goes out
        self.offered, self.begun = None, mail
        self.deadline = time.monotonic() + self._relay.answer_seconds
        self._behind_dot = len(envelope)
        self._send_with(Step.DOT, content, ahead, envelope)

    def _content_answered(self, reply: Reply) -> None:
        early = self.session.unsent > self._behind_dot
        if early and reply.kind == 2:
            raise Lost("took a mail before its end")
        answer = answer_of(reply)
        mail, self.begun = self.begun, None
        if mail is not None:
            self._desk.answered(mail, answer)
        if early:
            raise Lost("refused a mail before its end", expected=True)  # the rest need not be sent

    def _report(self, answer: Answer) -> None:
        mail, self.offered = self.offered, None
        if mail is not None:
            self._desk.answered(mail, answer)

    def _ahead(self) -> Handable | None:
        return self._desk.next_for(self.session.offers) if self.session.offers.pipelining else None

    def _go_on(self, step: Step, command: bytes) -> None:
        ahead = self._ahead()
        self._send_with(step, command, ahead, envelope_of(ahead, self.session.offers) if ahead else b"")

    def _send_with(self, step: Step, data: bytes, ahead: Handable | None, envelope: bytes) -> None:
        self._awaited.append(step)
        if ahead is not None:
            self._pick_up(ahead)
            self._awaited.extend(_ENVELOPE)
        self.session.send(data + envelope)
