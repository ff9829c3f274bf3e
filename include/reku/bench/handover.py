"""Stage "handover": mails handed over by us, against postfix's smtp-source, and against other clients from Python."""

from __future__ import annotations

import asyncio
import importlib.util
import smtplib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from typing import Any

from reku.bench.sink import MAIL_BYTES, sink, smtp_source
from reku.channels.email.smtp.answers import Answer, Outcome
from reku.channels.email.smtp.handover import hand_over
from reku.channels.email.smtp.transport import Relay
from reku.channels.email.smtp.wire import SmtpMail
from reku.foundation.errors import StageError
from reku.runtime.ports import LOOPBACK

AT_LEAST = 0.9
CONNECTIONS = 4
MAILS = 4000
WHAT = f"{CONNECTIONS} connections, pipelined, 1 process"
_LINE = b"X" * 78 + b"\r\n"  # as smtp-source writes it
_HEAD = (
    b"From: <sender@bench.example>\r\nTo: <person@bench.example>\r\n"
    b"Date: Tue, 24 Nov 2026 09:30:00 +0100\r\nMessage-Id: <1@bench.example>\r\n\r\n"
)


@dataclass(frozen=True)
class _BenchMail:
    envelope_from: str = "sender@bench.example"
    envelope_to: str = "person@bench.example"
    data: bytes = _HEAD + (_LINE * (MAIL_BYTES // len(_LINE) + 1))[: MAIL_BYTES - 2] + b"\r\n"
    smtputf8: bool = False


MAIL = _BenchMail()


class _Repeat:
    """A queue that gives the same mail again and again."""

    def __init__(self, mails: int) -> None:
        self._left, self.accepted = mails, 0

    def next_mail(self) -> SmtpMail | None:
        self._left -= 1
        return MAIL if self._left >= 0 else None

    def seconds_until_next(self) -> float | None:
        return None

    def start(self, _mail: SmtpMail) -> bool:
        return True

    def answered(self, _mail: SmtpMail, answer: Answer) -> None:
        self.accepted += answer.outcome is Outcome.ACCEPTED

    def lost(self, mail: SmtpMail) -> None: ...

    def returned(self, mail: SmtpMail) -> None: ...

    def heartbeat(self) -> None: ...


def measure(rounds: int) -> dict[str, Any]:
    """The figure of this stage: we and smtp-source in turns, the same number of mails of the same size to one sink.

    Raises SetupError if postfix's programs are not installed, StageError if the sink did not take every mail.
    """
    with sink() as port:
        ratio = _in_turns(rounds, partial(ours, port, MAILS), partial(smtp_source, port, MAILS))
    return _figure("smtp-source -d -s 4", ratio, rounds, AT_LEAST)


def peers(rounds: int) -> list[dict[str, Any]]:
    """The same against other clients, of which each hands over a tenth as many mails. Raises as `measure` does."""
    clients: dict[str, Callable[[int, int], float]] = {
        "smtplib, 1 connection": _smtplib,
        "EmailMessage + smtplib.send_message, 1 connection": _email_message,
    }
    if importlib.util.find_spec("aiosmtplib"):
        clients[f"aiosmtplib, {CONNECTIONS} connections"] = _aiosmtplib
    figures = []
    with sink() as port:
        for name, client in clients.items():
            few = MAILS // 10
            ratio = _in_turns(rounds, partial(ours, port, MAILS), partial(client, port, few)) * MAILS / few
            figures.append(_figure(name, ratio, rounds, 1.0))
    return figures


def ours(port: int, mails: int) -> float:
    """Hand over so many mails ourselves. Returns the seconds it took. Raises StageError if not all were accepted."""
    queue = _Repeat(mails)
    begun = time.perf_counter()
    hand_over(queue, Relay(LOOPBACK, port, tls=False), connections=CONNECTIONS)
    seconds = time.perf_counter() - begun
    if queue.accepted != mails:
        raise StageError(f"The sink accepted {queue.accepted} of {mails} mails: nothing can be said of the speed.")
    return seconds


def _in_turns(rounds: int, first: Callable[[], float], second: Callable[[], float]) -> float:
    """How many times as long the second takes as the first: median of the rounds, whose sides bear one load."""
    ratios = []
    for number in range(rounds):
        before = second() if number % 2 else None
        seconds = first()
        ratios.append((second() if before is None else before) / seconds)
    return statistics.median(ratios)


def _figure(against: str, ratio: float, rounds: int, at_least: float) -> dict[str, Any]:
    return {
        "stage": "handover",
        "what": WHAT,
        "against": against,
        "ratio": round(ratio, 2),
        "at_least": at_least,
        "rounds": rounds,
        "rows": MAILS,
    }


def _smtplib(port: int, mails: int) -> float:
    begun = time.perf_counter()
    with smtplib.SMTP(LOOPBACK, port) as smtp:
        for _ in range(mails):
            smtp.sendmail(MAIL.envelope_from, [MAIL.envelope_to], MAIL.data)
    return time.perf_counter() - begun


def _email_message(port: int, mails: int) -> float:
    message = message_from_bytes(MAIL.data, EmailMessage, policy=policy.SMTP)
    begun = time.perf_counter()
    with smtplib.SMTP(LOOPBACK, port) as smtp:
        for _ in range(mails):
            smtp.send_message(message, MAIL.envelope_from, [MAIL.envelope_to])
    return time.perf_counter() - begun


def _aiosmtplib(port: int, mails: int) -> float:
    from aiosmtplib import SMTP

    async def one(share: int) -> None:
        async with SMTP(hostname=LOOPBACK, port=port, use_tls=False, start_tls=False) as smtp:
            for _ in range(share):
                await smtp.sendmail(MAIL.envelope_from, [MAIL.envelope_to], MAIL.data)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(mails // CONNECTIONS) for _ in range(CONNECTIONS)))

    begun = time.perf_counter()
    asyncio.run(all_of_them())
    return time.perf_counter() - begun
