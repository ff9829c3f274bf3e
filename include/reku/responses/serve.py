"""Serves the tracker: `python -m reku.responses.serve [HOST PORT]`, by default on 127.0.0.1 and REKU_TRACKER_PORT.

uvicorn with its fast parts (uvloop, httptools), without access log. httptools takes addresses and headers of any
length, and wait for them as long as it takes, so both are limited here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from reku.foundation.networks import Network, is_within
from reku.foundation.private_files import keep_private
from reku.foundation.settings import settings
from reku.responses.client_limit import client_of
from reku.responses.open_connections import OpenConnections, room_for

LONGEST_HEAD = 65_536
"""Bytes of a request's address and headers together, as with uvicorn's other parser."""
LONGEST_BODY = 2_000_000
"""Bytes of a body that are taken, and not kept, so that whoever sends too much still reads the answer."""
HEAD_SECONDS = 10.0
BODY_SECONDS = 10.0
ANSWER_SECONDS = 60.0
"""How long a client may take for its head and for its body, and how long we and its reading may take for an answer."""
KEEP_ALIVE_SECONDS = 15
BACKLOG = 256
"""Connections that the system completes before we take them."""


_SLICE = 16_384


class LimitedProtocol(HttpToolsProtocol):
    """HTTP whose requests end somewhere, in bytes and in time.

    Counted are the bytes that the parser takes without a head, or a piece of a body, being complete: it gathers an
    unfinished header, however long, and tells nobody.
    """

    client_network = ""
    _unfinished = _body = 0
    _receives = False
    """Whether a request has begun to arrive and is not yet complete."""

    def __init__(self, others: OpenConnections, proxies: Sequence[Network], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._others, self._proxies = others, proxies
        self.due = self.loop.time() + HEAD_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's own is so, too
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        self.client_network = "" if is_within(address, self._proxies) else client_of(address)
        self._others.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._others.remove(self)
        super().connection_lost(exc)

    def is_awaited(self) -> bool:
        """Whether the client has to do something next: nothing is asked yet, not all of it, or all is answered."""
        return self._receives or self.cycle is None or self.cycle.response_complete

    def drop(self) -> None:
        """End it without a further byte. Whoever was half-way through an unsubscribe has still asked for it."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _SLICE):
            if self.transport.is_closing():
                return
            piece = data[start : start + _SLICE]
            self._unfinished += len(piece)
            super().data_received(piece)
            if self._unfinished > LONGEST_HEAD and not self.transport.is_closing():
                self.send_400_response("The request's address and headers are too long.")

    def on_message_begin(self) -> None:
        if not self._receives:
            self._receives = True
            self.due = self.loop.time() + HEAD_SECONDS
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._unfinished = self._body = 0
        self.due = self.loop.time() + BODY_SECONDS
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        self._body += len(body)
        if self._body > LONGEST_BODY:
            self.transport.close()  # after the answer, if it is on its way
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._receives = False
        self.due = self.loop.time() + ANSWER_SECONDS
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if not self._receives and not self.pipeline:
            self.due = self.loop.time() + KEEP_ALIVE_SECONDS + HEAD_SECONDS  # uvicorn's own ends it before
        self._others.answered(self)
        super().on_response_complete()


def config(app: Any, host: str, port: int) -> uvicorn.Config:
    """How the tracker is served, and what it is measured against in the benchmark."""
    own = settings()
    others = OpenConnections(room_for(own.tracker_connections, BACKLOG), own.tracker_client_connections)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=partial(LimitedProtocol, others, own.proxies()),  # type: ignore[arg-type] # whatever makes a protocol
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=bool(own.tracker_proxies),
        forwarded_allow_ips=own.tracker_proxies or None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        backlog=BACKLOG,
    )


def serve(app: str, host: str, port: int) -> int:
    """Serve an application (`module:name`) until a signal. Returns the exit code."""
    server = uvicorn.Server(config(app, host, port))
    server.run()
    return 0 if server.started else 1


def main(arguments: list[str]) -> int:
    """Serve the tracker until a signal. Returns the exit code."""
    keep_private()
    host, port = arguments or ("127.0.0.1", str(settings().tracker_port))
    return serve("reku.responses.tracker:app", host, int(port))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
