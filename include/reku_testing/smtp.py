"""A real SMTP server for tests, whose answers a test chooses by recipient."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from reku_testing.ports import free_port

CONTROL = "kontrolle@"
"""How the control addresses of the demo institutes begin."""

Answers = Callable[[str], str | None]


@dataclass
class Sink:
    """What the server took, and how it answers. `at_rcpt` and `at_data` return an answer line, or None for 250."""

    at_rcpt: Answers = lambda _address: None
    at_data: Answers = lambda _address: None
    delay: float = 0.0
    pipelining: bool = False  # aiosmtpd bears it, and does not say so
    port: int = 0
    received: list[tuple[str, bytes]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def handle_EHLO(
        self, _server: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [responses[0], "250-PIPELINING", *responses[1:]] if self.pipelining else responses

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        refusal = self.at_rcpt(address)
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        refusal = self.at_data(envelope.rcpt_tos[0])
        if refusal:
            return refusal
        with self._lock:
            self.received += [(address, envelope.original_content) for address in envelope.rcpt_tos]
        time.sleep(self.delay)
        return "250 2.0.0 OK"

    @property
    def recipients(self) -> list[str]:
        """Every customer who got a mail, once for each mail."""
        return [address for address, _ in self.received if not address.startswith(CONTROL)]

    @property
    def control_copies(self) -> list[bytes]:
        """The mails to control addresses."""
        return [data for address, data in self.received if address.startswith(CONTROL)]

    def mails(self) -> list[EmailMessage]:
        """The customers' mails, parsed."""
        own = [data for address, data in self.received if not address.startswith(CONTROL)]
        parsed = [message_from_bytes(data, policy=policy.default) for data in own]
        return [mail for mail in parsed if isinstance(mail, EmailMessage)]


@contextmanager
def running(sink: Sink) -> Iterator[Sink]:
    """The sink listening on a free port of the loopback."""
    sink.port = free_port()
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port, enable_SMTPUTF8=True)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()
