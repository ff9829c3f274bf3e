"""Serves the tracker: `python -m reku.responses.serve [HOST PORT]`, by default on 127.0.0.1 and REKU_TRACKER_PORT.

uvicorn with its fast parts (uvloop, httptools), without access log. httptools takes addresses and headers of any
length, so they are limited here.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from reku.foundation.settings import settings

LONGEST_HEAD = 65_536
"""Bytes of a request's address and headers together, as with uvicorn's other parser."""
KEEP_ALIVE_SECONDS = 15


_SLICE = 16_384


class LimitedProtocol(HttpToolsProtocol):
    """HTTP whose request heads end somewhere.

    Counted are the bytes that the parser takes without a head, or a piece of a body, being complete: it gathers an
    unfinished header, however long, and tells nobody.
    """

    _unfinished = 0

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _SLICE):
            if self.transport.is_closing():
                return
            piece = data[start : start + _SLICE]
            self._unfinished += len(piece)
            super().data_received(piece)
            if self._unfinished > LONGEST_HEAD and not self.transport.is_closing():
                self.send_400_response("The request's address and headers are too long.")

    def on_headers_complete(self) -> None:
        self._unfinished = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)


def config(app: Any, host: str, port: int) -> uvicorn.Config:
    """How the tracker is served, and what it is measured against in the benchmark."""
    proxies = settings().tracker_proxies
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=LimitedProtocol,
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies or None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )


def serve(app: str, host: str, port: int) -> int:
    """Serve an application (`module:name`) until a signal. Returns the exit code."""
    server = uvicorn.Server(config(app, host, port))
    server.run()
    return 0 if server.started else 1


def main(arguments: list[str]) -> int:
    """Serve the tracker until a signal. Returns the exit code."""
    host, port = arguments or ("127.0.0.1", str(settings().tracker_port))
    return serve("reku.responses.tracker:app", host, int(port))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
