"""What is said on one connection: mail after mail, the next envelope ahead where the relay takes it (RFC 2920).

Only the answer to this person's RCPT or DATA says anything about the person. An answer to MAIL FROM is about us.

Some relays claim PIPELINING and take one command at a time, such as one behind a firewall that looks into SMTP. Until
an envelope was answered as a whole on one connection, one that is not answered so counts as that: `NotPipelined`.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto

from reku.channels.email.smtp.answers import Answer, Lost, NotPipelined, Outcome, Reply, SessionError, answer_of
from reku.channels.email.smtp.mail_queue import Lookahead
from reku.channels.email.smtp.transport import Relay, SmtpTransport
from reku.channels.email.smtp.wire import SmtpMail, content_of, envelope_of
from reku.foundation.quoted_reply import GAP


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
_BEHIND_MAIL = (Step.RCPT, Step.DATA)
PROBATION_SECONDS = 10.0
"""How long the rest of a first envelope is waited for once its MAIL is answered: to give up pipelining costs little."""
_OUT_OF_STEP = (500, 502, 503)
"""Codes of RFC 5321 section 4.2.2 about the command or its place, never about a recipient."""
_SPEAKS_OF_PIPELINING = re.compile(rb"pipelin|synchroni[sz]", re.IGNORECASE)
_GOOD = {Step.RSET: (2,), Step.LONE_DOT: (4, 5)}


class PipelinedConnection:
    """One connection and what is on its way there. `offered`: the mail whose envelope is out, and none of its content.

    `begun`: the mail whose content is out, and whose answer is not here; never more than this one. `deadline`: when the
    next reply is overdue, on the monotonic clock. `on_probation`: nobody has seen this relay pipeline yet.
    """

    def __init__(
        self,
        transport: SmtpTransport,
        relay: Relay,
        lookahead: Lookahead,
        start: Callable[[SmtpMail], bool],
        answered: Callable[[SmtpMail, Answer], None],
        *,
        on_probation: bool,
    ) -> None:
        self.transport, self._relay, self._lookahead = transport, relay, lookahead
        self._start, self._answered = start, answered
        self.offered: SmtpMail | None = None
        self.begun: SmtpMail | None = None
        self.deadline = math.inf
        self._awaited: deque[Step] = deque()
        self._commands: deque[bytes] = deque()  # without PIPELINING: the envelope's commands still to be said
        self._refused = self._is_put_off = False  # its recipient, or its sender
        self._behind_dot = 0
        self._on_probation = on_probation and transport.offers.pipelining
        self._has_served = False

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._awaited

    def offer_next(self) -> bool:
        """With nothing on its way: send the next mail's envelope. False if there is none."""
        mail = self._lookahead.peek_for(self.transport.offers)
        if mail is None:
            return False
        envelope = envelope_of(mail, self.transport.offers)
        self._take_next(mail)
        if self.transport.offers.pipelining:
            self._awaited.extend(_ENVELOPE)
            self.transport.send(envelope)
        else:
            self._commands.extend(envelope.splitlines(keepends=True))
            self._send_command(Step.MAIL, self._commands.popleft())
        self._set_deadline()
        return True

    def quit(self) -> None:
        """With nothing on its way: say good-bye."""
        self._send_command(Step.QUIT, b"QUIT\r\n")
        self._set_deadline()

    def withdraw(self) -> SmtpMail | None:
        """Begin nothing more; only a begun mail's answer is still awaited. Returns the mail that was offered."""
        mail, self.offered = self.offered, None
        self._awaited = deque([Step.DOT] if self.begun else [])
        return mail

    def receive(self) -> None:
        """Take in what has arrived and go on. Raises Lost at the connection's end; SessionError if we are refused."""
        idle, received = self.idle or self._awaited[0] is Step.QUIT, False
        try:
            self.transport.receive()
            while (reply := self.transport.replies.next()) is not None:
                if not self._awaited:
                    raise Lost("spoke unasked", expected=True)
                self._process(self._awaited.popleft(), reply)
                received = True
            if idle and self.transport.replies.left:
                raise Lost("spoke unasked")
            if received:  # half a reply buys no time
                self._set_deadline()
        except Lost as lost:
            lost.expected = lost.expected or idle
            if self._is_out_of_step:
                raise NotPipelined(str(lost), expected=lost.expected) from lost
            raise

    def overdue(self) -> Lost:
        """What it means that the next reply has not come in time."""
        text = "did not answer in time"
        return NotPipelined(text) if self._is_out_of_step else Lost(text)

    @property
    def _is_out_of_step(self) -> bool:
        """Whether the rest of a first envelope is still to be answered, and nothing but an envelope was sent."""
        waits = bool(self._awaited) and self._awaited[0] in _BEHIND_MAIL
        return self._on_probation and waits and self.begun is None

    def _set_deadline(self) -> None:
        """From now on the next reply is awaited. The end of a mail's time was set when it was begun."""
        if not self._awaited:
            self.deadline = math.inf
        elif self._awaited[0] is not Step.DOT:
            waits_for_rest = self._on_probation and self._awaited[0] in _BEHIND_MAIL
            patience = min(self._relay.command_seconds, PROBATION_SECONDS) if waits_for_rest else math.inf
            self.deadline = time.monotonic() + min(self._relay.command_seconds, patience)

    def _send_command(self, step: Step, command: bytes) -> None:
        self._awaited.append(step)
        self.transport.send(command)

    def _take_next(self, mail: SmtpMail) -> None:
        self._lookahead.take()
        self.offered, self._refused, self._is_put_off = mail, False, False

    def _process(self, step: Step, reply: Reply) -> None:
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
        if reply.code == 421 and self._has_served:  # so many mails on one connection, and no more
            raise Lost("closed the connection with 421")
        if reply.kind == 4:
            self._report(replace(answer_of(reply), outcome=Outcome.ALL_LATER))
            self._refused = self._is_put_off = True
            self._on_probation = False
            if self._commands and reply.code != 421:
                self._commands.clear()
                self._send_command(Step.RSET, b"RSET\r\n")
            return
        if reply.kind != 2:
            raise SessionError(self._sender_refused(answer_of(reply)))
        if self._commands:
            self._send_command(Step.RCPT, self._commands.popleft())

    def _sender_refused(self, answer: Answer) -> str:
        sender = self.offered.envelope_from if self.offered else ""
        domain = sender.rpartition("@")[2]
        return (
            f"The relay {self._relay.place} refused MAIL FROM with {answer.short}: that is about us, not about the "
            f"person. Sent was `MAIL FROM:<{GAP}@{domain}>`, and »{answer.said(sender)}« came back. Everything not "
            "handed over is still open: have the relay accept our sender, then clear `dispatch`."
        )

    def _recipient_answered(self, reply: Reply) -> None:
        self._check_in_step(reply)
        if reply.kind == 2:
            if self._commands:
                self._send_command(Step.DATA, self._commands.popleft())
            return
        self._refused = True
        self._report(answer_of(reply))
        if self._commands and reply.code != 421:
            self._commands.clear()
            self._send_command(Step.RSET, b"RSET\r\n")

    def _check_in_step(self, reply: Reply) -> None:
        """Raises NotPipelined for an answer to the rest of a first envelope that is about our haste, not the person."""
        hasty = reply.code in _OUT_OF_STEP or (reply.kind > 3 and _SPEAKS_OF_PIPELINING.search(reply.text))
        if self._on_probation and not self._refused and hasty:
            raise NotPipelined(f"answered {reply.code} to a command that was sent ahead")

    def _data_answered(self, reply: Reply) -> None:
        self._check_in_step(reply)
        self._on_probation = False
        if reply.kind == 2:  # taken for the answer to a mail, it would be a mail that was never sent
            raise Lost(f"answered DATA with {reply.code}")
        if self.transport.replies.left:
            raise Lost("said more than was asked")  # taken for the answer to the mail: the same
        if reply.kind == 3:
            if self._is_put_off:  # a dot might have it take a mail without content
                raise Lost("wants the content of a mail whose sender it has put off", expected=True)
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
        envelope = envelope_of(ahead, self.transport.offers) if ahead else b""
        if not self._start(mail):
            self.offered = None
            raise Lost("had to be left in the middle of a mail", expected=True)  # without a dot: nothing goes out
        self.offered, self.begun = None, mail
        self.deadline = time.monotonic() + self._relay.answer_seconds
        self._behind_dot = len(envelope)
        self._send_with(Step.DOT, content, ahead, envelope)

    def _content_answered(self, reply: Reply) -> None:
        early = self.transport.unsent > self._behind_dot
        if early and reply.kind == 2:
            raise Lost("took a mail before its end")
        answer = answer_of(reply)
        self._has_served = True
        mail, self.begun = self.begun, None
        if mail is not None:
            self._answered(mail, answer)
        if early:
            raise Lost("refused a mail before its end", expected=True)  # the rest need not be sent

    def _report(self, answer: Answer) -> None:
        mail, self.offered = self.offered, None
        if mail is not None:
            self._answered(mail, answer)

    def _ahead(self) -> SmtpMail | None:
        return self._lookahead.peek_for(self.transport.offers) if self.transport.offers.pipelining else None

    def _go_on(self, step: Step, command: bytes) -> None:
        ahead = self._ahead()
        self._send_with(step, command, ahead, envelope_of(ahead, self.transport.offers) if ahead else b"")

    def _send_with(self, step: Step, data: bytes, ahead: SmtpMail | None, envelope: bytes) -> None:
        self._awaited.append(step)
        if ahead is not None:
            self._take_next(ahead)
            self._awaited.extend(_ENVELOPE)
        self.transport.send(data + envelope)
