"""A lean SMTP server on the loopback that notes who got a mail, and when. It takes all; a subclass may differ."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from reku.runtime.ports import LOOPBACK

_LARGEST_MAIL = 2**21
_ADDRESS = re.compile(rb"<(.*)>")
_MESSAGE_ID = re.compile(rb"^Message-ID: (.*)\r$", re.MULTILINE)


class Mail(NamedTuple):
    """A mail that has come whole. `at`: when its final dot came, on the monotonic clock."""

    recipient: str
    at: float
    message_id: str


@dataclass
class NotingSink:
    """What has come and what of it was taken, and how long it takes over each mail.

    A mail counts as taken before it is answered.
    """

    seconds: float = 0.0
    offers: tuple[str, ...] = ("PIPELINING", "8BITMIME")
    port: int = 0
    come: list[Mail] = field(default_factory=list)
    taken: list[Mail] = field(default_factory=list)

    async def answer(self, point: str, recipient: str) -> str:  # noqa: ARG002 - for those who differ
        """What to say at `auth`, `mail`, `rcpt`, `data` or `dot`. ConnectionError breaks the connection off."""
        return {"auth": "235 2.7.0 welcome", "data": "354 go on"}.get(point, "250 2.0.0 ok")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._converse(reader, writer)
        writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        recipient = ""
        while True:
            line = await reader.readuntil(b"\r\n")
            verb = line[:4].upper()
            said = "250 2.0.0 ok"
            if verb == b"EHLO":
                said = "\r\n".join(
                    ["250-here", *(f"250-{offer}" for offer in self.offers[:-1]), f"250 {self.offers[-1]}"]
                )
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
                    said = await self._dot(recipient, await reader.readuntil(b"\r\n.\r\n"))
            writer.write(f"{said}\r\n".encode())
            if verb == b"QUIT" or said.startswith("421"):
                return

    async def _dot(self, recipient: str, content: bytes) -> str:
        found = _MESSAGE_ID.search(content)
        mail = Mail(recipient, time.monotonic(), found[1].decode() if found else "")
        self.come.append(mail)
        said = await self.answer("dot", recipient)
        if said.startswith("2"):
            self.taken.append(mail)
            await asyncio.sleep(self.seconds)
        return said


@contextmanager
def running(sink: NotingSink) -> Iterator[None]:
    """The sink on a free port, in a thread of its own."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(sink.serve, LOOPBACK, 0, limit=_LARGEST_MAIL))
    sink.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, name="sink")
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
