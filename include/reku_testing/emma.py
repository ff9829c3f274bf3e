"""A server with the shape of EMMA's web service on a free port, in a thread of the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reku.simulator.emma.server import PATH, EmmaServer
from reku_testing.serving import served


@contextmanager
def emma_served(server: EmmaServer) -> Iterator[str]:
    """Serve it; yields the address that functions are appended to."""
    with served(server.app()) as address:
        yield f"{address}{PATH}"
