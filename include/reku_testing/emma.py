"""A server with the shape of EMMA's web service on a free port, in a thread of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from reku.simulator.emma.server import PATH, EmmaServer


@contextmanager
def emma_served(server: EmmaServer) -> Iterator[str]:
    """Serve it; yields the address that functions are appended to."""
    config = uvicorn.Config(server.app(), host="127.0.0.1", port=0, log_level="error", lifespan="off")
    http = uvicorn.Server(config)
    thread = threading.Thread(target=http.run)
    thread.start()
    while not http.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{http.servers[0].sockets[0].getsockname()[1]}{PATH}"
    finally:
        http.should_exit = True
        thread.join()
