"""The SMTP server of tests and benchmarks: lean, on the loopback, answers as it is told, and keeps what it takes.

What it cannot do is to break the protocol (half answers, stalls, bytes one by one): `reku_testing.hostile` does.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import NamedTuple

from reku.runtime.ports import LOOPBACK

CONTROL = "kontrolle@"
"""How the control addresses of the demo institutes begin."""
_LARGEST_MAIL = 2**21
_ADDRESS = re.compile(rb"<(.*)>")
_MESSAGE_ID = re.compile(rb"^Message-ID: (.*)\r$", re.MULTILINE)
_STUFFED = re.compile(rb"^\.", re.MULTILINE)
_GOOD = {"auth": "235 2.7.0 welcome", "data": "354 go on"}


class Mail(NamedTuple):
    """A mail that has come whole. `at`: when its final dot came, on the monotonic clock."""

    recipient: str
    at: float
    message_id: str
    content: bytes


@dataclass
class Sink:
    """What has come and what of it was taken, and how long it takes over each mail. A mail is taken before it is
    answered.

    `say`: the answer at a point (`auth`, `mail`, `rcpt`, `data`, `dot`) about a recipient; None: a good one.
    """

    seconds: float = 0.0
    offers: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8")
    say: Callable[[str, str], str | None] = lambda _point, _recipient: None
    port: int = 0
    come: list[Mail] = field(default_factory=list)
    taken: list[Mail] = field(default_factory=list)

    @property
    def recipients(self) -> list[str]:
        """Every customer who got a mail, once for each mail."""
        return [mail.recipient for mail in self.taken if not mail.recipient.startswith(CONTROL)]

    @property
    def control_copies(self) -> list[bytes]:
        """The mails to control addresses."""
        return [mail.content for mail in self.taken if mail.recipient.startswith(CONTROL)]

    def mails(self) -> list[EmailMessage]:
        """The customers' mails, parsed."""
        own = [mail.content for mail in self.taken if not mail.recipient.startswith(CONTROL)]
        return [message_from_bytes(content, EmailMessage, policy=policy.default) for content in own]

    async def answer(self, point: str, recipient: str) -> str:
        """What to say at a point; for those who differ. ConnectionError breaks the connection off."""
        return self.say(point, recipient) or _GOOD.get(point, "250 2.0.0 ok")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._session(reader, writer)
        writer.transport.abort()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        recipient = ""
        while True:
            line = await reader.readuntil(b"\r\n")
            verb = line[:4].upper()
            said = "250 2.0.0 ok"
            if verb == b"EHLO":
                lines = ["here", *self.offers]
                said = "\r\n".join([*(f"250-{offer}" for offer in lines[:-1]), f"250 {lines[-1]}"])
            elif verb == b"AUTH":
                said = await self.answer("auth", "")
            elif verb == b"MAIL":
                recipient, said = "", await self.answer("mail", "")
            elif verb == b"RCPT":
                address = _ADDRESS.findall(line)[0].decode()
                said = await self.answer("rcpt", address)
                recipient = address if said.startswith("2") else ""
            elif verb == b"DATA" and not recipient:
                said = "503 5.5.1 nobody to send it to"
            elif verb == b"DATA":
                said = await self.answer("data", recipient)
                if said.startswith("3"):
                    writer.write(f"{said}\r\n".encode())
                    said = await self._content(recipient, await reader.readuntil(b"\r\n.\r\n"))
            writer.write(f"{said}\r\n".encode())
            if verb == b"QUIT" or said.startswith("421"):
                return

    async def _content(self, recipient: str, received: bytes) -> str:
        content = _STUFFED.sub(b"", received.removesuffix(b".\r\n"))
        found = _MESSAGE_ID.search(content)
        mail = Mail(recipient, time.monotonic(), found[1].decode() if found else "", content)
        self.come.append(mail)
        said = await self.answer("dot", recipient)
        if said.startswith("2"):
            self.taken.append(mail)
            await asyncio.sleep(self.seconds)
        return said


def only(point: str, answer: Callable[[str], str | None]) -> Callable[[str, str], str | None]:
    """To be said at one point, by recipient; elsewhere a good answer."""
    return lambda where, recipient: answer(recipient) if where == point else None


@contextmanager
def running(sink: Sink) -> Iterator[Sink]:
    """The sink on its port, or else on a free one, in a thread of its own."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(sink.serve, LOOPBACK, sink.port, limit=_LARGEST_MAIL))
    sink.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, name="sink")
    thread.start()
    try:
        yield sink
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
