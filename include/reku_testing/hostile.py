"""A raw SMTP server for tests that does as its script says: answers anything, in any pieces, drops, stalls, resets."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum

POINTS = ("banner", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "content", "dot", "rset", "quit")
"""Where a script may step in. `content`: in the middle of a mail; `dot`: after its final dot."""


class Then(Enum):
    """What follows upon an answer."""

    GO_ON = "go on"
    CLOSE = "close"
    RESET = "reset"  # the connection is torn down, not closed
    STALL = "stall"  # nothing is said any more
    DRIBBLE = "dribble"  # an answer goes on and on, a byte at a time


@dataclass(frozen=True)
class Act:
    """What the server says at a point (None: what a good server says), and what it does then.

    `after`: seconds before it says so. `on_go_ahead`: before it does what it does then, it waits for the server's
    `go_ahead`.
    """

    say: bytes | None = None
    then: Then = Then.GO_ON
    after: float = 0.0
    on_go_ahead: bool = False


GOOD = Act()
DROP = Act(b"", Then.CLOSE)
RESET = Act(b"", Then.RESET)
STALL = Act(b"", Then.STALL)

Script = Mapping[tuple[int, str, int], Act]
"""By connection (from 1), point, and how often that point was reached on the connection (from 1)."""


@dataclass
class Hostile:
    """The server, and what it saw. `taken`: recipients of mails whose final dot came; `accepted`: and got a 2xx."""

    script: Script = field(default_factory=dict)
    pipelining: bool = True
    offers: tuple[str, ...] = ("8BITMIME",)
    bytewise: bool = False  # every answer byte by byte
    together: bool = True  # answers to what came in one packet go back in one packet
    line_end: bytes = b"\r\n"
    tls: ssl.SSLContext | None = None
    port: int = 0
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    together_with_dot: list[int] = field(default_factory=list)  # commands that came in one packet with a final dot
    stalls: int = 0  # how many connections have begun to stall or dribble
    ends: list[str] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    go_ahead: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def recipients(self) -> list[str]:
        """Of every mail whose final dot came."""
        return [recipient for recipient, _ in self.taken]


@contextmanager
def running(server: Hostile) -> Iterator[Hostile]:
    """The server on a free port of the loopback; afterwards all its threads have ended."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        accepting = threading.Thread(target=_accept, args=(server, listener))
        accepting.start()
        try:
            yield server
        finally:
            server._stop.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *server._threads):
                thread.join(10)
                assert not thread.is_alive()


def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds. It must within a minute: a guard against waiting for ever, and no measure of speed."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def _accept(server: Hostile, listener: socket.socket) -> None:
    while not server._stop.is_set():
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        server.connections += 1
        thread = threading.Thread(target=_serve, args=(server, sock, server.connections))
        server._threads.append(thread)
        thread.start()


def _serve(server: Hostile, sock: socket.socket, number: int) -> None:
    one = _Connection(server, sock, number)
    try:
        one.serve()
    except _End as end:
        server.ends.append(str(end))
    except OSError as error:
        server.ends.append(type(error).__name__)
    finally:
        one.sock.close()


class _End(Exception):
    pass


class _Connection:
    def __init__(self, server: Hostile, sock: socket.socket, number: int) -> None:
        self.server, self.sock, self.number = server, sock, number
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(0.02)
        self.reached: Counter[str] = Counter()
        self.inbox = b""
        self.outbox = b""
        self.recipient = ""
        self.smtputf8 = False

    def serve(self) -> None:
        self.at("banner", "220 here")
        while True:
            line = self.line().decode("utf-8")
            verb = line[:4].upper()
            self.server.commands.append(line)
            if verb in ("EHLO", "HELO"):
                pipelining = ("PIPELINING",) if self.server.pipelining else ()
                tls = ("STARTTLS",) if self.server.tls and not isinstance(self.sock, ssl.SSLSocket) else ()
                offers = ("here", *pipelining, *self.server.offers, *tls)
                lines = [f"250{' ' if offer is offers[-1] else '-'}{offer}" for offer in offers]
                self.at("ehlo", self.server.line_end.decode().join(lines))
            elif verb == "STAR" and self.server.tls:
                self.at("starttls", "220 go")
                self.flush()
                self.sock.settimeout(5)
                self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)
                self.sock.settimeout(0.02)
            elif verb == "AUTH":
                self.at("auth", "235 welcome")
            elif verb == "MAIL":
                self.recipient = ""
                self.at("mail", "250 2.1.0 ok")
            elif verb == "RCPT":
                recipient = re.sub(r".*<(.*)>.*", r"\1", line)
                if self.at("rcpt", "250 2.1.5 ok").startswith(b"2"):
                    self.recipient = recipient
            elif verb == "DATA":
                if self.at("data", "354 go on" if self.recipient else "503 5.5.1 nobody to send it to")[:1] == b"3":
                    self.content()
            elif verb == "RSET":
                self.at("rset", "250 ok")
            elif verb == "QUIT":
                self.at("quit", "221 bye")
                self.flush()
                raise _End("quit")
            else:
                self.at(verb.lower(), "500 5.5.2 what?")

    def content(self) -> None:
        lines = [self.line()]
        self.at("content", "")
        while lines[-1] != b".":
            lines.append(self.line())
        self.dot(b"".join(line + b"\r\n" for line in lines[:-1]))

    def dot(self, got: bytes) -> None:
        self.server.together_with_dot.append(self.inbox.count(b"\r\n"))
        if self.recipient:
            self.server.taken.append((self.recipient, got))
        # `accepted` comes first: once the answer is out, the other side may look at it.
        act = self.server.script.get((self.number, "dot", self.reached["dot"] + 1), GOOD)
        if self.recipient and (act.say is None or re.match(rb"2\d\d[- \r\n].*\n", act.say, re.DOTALL)):
            self.server.accepted.append(self.recipient)
        self.at("dot", "250 2.0.0 taken" if self.recipient else "554 5.5.1 for nobody")
        self.recipient = ""

    def at(self, point: str, good: str) -> bytes:
        """Do as the script says at this point; returns what was said."""
        self.reached[point] += 1
        act = self.server.script.get((self.number, point, self.reached[point]), GOOD)
        said = (good.encode() + self.server.line_end if good else b"") if act.say is None else act.say
        if act.after:
            self.flush()
            self.server._stop.wait(act.after)
        self.outbox += said
        if not self.server.together or act != Act(act.say):
            self.flush()
        if act.on_go_ahead:
            self.server.go_ahead.wait(10)
        self.server.stalls += act.then in (Then.STALL, Then.DRIBBLE)
        while act.then in (Then.STALL, Then.DRIBBLE) and not self.server._stop.is_set():
            self.more()
            self.inbox = b""
            self.sock.sendall(b"x" if act.then is Then.DRIBBLE else b"")
        if act.then is Then.RESET:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if act.then is not Then.GO_ON:
            raise _End(f"{act.then.value} at {point}")
        return said

    def flush(self) -> None:
        out, self.outbox = self.outbox, b""
        for piece in [out[i : i + 1] for i in range(len(out))] if self.server.bytewise else [out] if out else []:
            self.sock.sendall(piece)
            if self.server.bytewise:
                time.sleep(0.0002)

    def line(self) -> bytes:
        while b"\r\n" not in self.inbox:
            self.flush()
            self.more()
        line, self.inbox = self.inbox.split(b"\r\n", 1)
        return line

    def more(self) -> None:
        if self.server._stop.is_set():
            raise _End("stop")
        with suppress(TimeoutError):
            data = self.sock.recv(65536)
            if not data:
                raise _End("left")
            self.inbox += data
