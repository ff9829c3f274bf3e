"""An account at a server with the shape of EMMA's, and a client of it that does not wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reku.channels.emma.client import EmmaClient, Login
from reku.simulator.emma.account import Account
from reku.simulator.emma.server import EmmaServer
from reku_testing.emma import emma_served
from reku_testing.world import BLZ


@pytest.fixture(scope="module")
def _served() -> Iterator[tuple[EmmaServer, str]]:
    server = EmmaServer()
    with emma_served(server) as url:
        yield server, url


@pytest.fixture
def emma(_served: tuple[EmmaServer, str]) -> EmmaServer:
    """The server, as new."""
    server, _ = _served
    server.accounts.clear()
    server.troubles.clear()
    server.log.clear()
    server.repeat_at_borders = False
    server.account(BLZ)
    return server


@pytest.fixture
def account(emma: EmmaServer) -> Account:
    """The bank's account."""
    return emma.accounts[BLZ]


@pytest.fixture
def emma_url(emma: EmmaServer, _served: tuple[EmmaServer, str]) -> str:
    """Its address."""
    assert emma.accounts
    return _served[1]


@pytest.fixture
def client(emma_url: str) -> Iterator[EmmaClient]:
    """A client whose pauses take no time."""
    with EmmaClient(BLZ, emma_url, Login(BLZ, "geheim"), sleep=lambda _seconds: None) as client:
        yield client
