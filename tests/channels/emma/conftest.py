"""An account at a server with the shape of EMMA's, a client of it that does not wait, and a bank that sends by it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.channels.emma import accounts
from reku.channels.emma.channel import EMMA
from reku.channels.emma.client import EmmaClient, Login
from reku.channels.emma.order_list import list_key
from reku.dispatch.dispatch import dispatch
from reku.dispatch.progress import DispatchResult
from reku.simulator.emma.account import EmmaAccount
from reku.simulator.emma.server import EmmaServer
from reku_testing import world
from reku_testing.dispatching import BANK, DAY, NINE, ORDER, change_settings, configure, loaded, people
from reku_testing.emma import emma_served


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
    server.account(BANK)
    return server


@pytest.fixture
def account(emma: EmmaServer) -> EmmaAccount:
    """The bank's account."""
    return emma.accounts[BANK]


@pytest.fixture
def emma_url(emma: EmmaServer, _served: tuple[EmmaServer, str]) -> str:
    """Its address."""
    assert emma.accounts
    return _served[1]


@pytest.fixture
def client(emma_url: str) -> Iterator[EmmaClient]:
    """A client whose pauses take no time."""
    with EmmaClient(BANK, emma_url, Login(BANK, "geheim"), sleep=lambda _seconds: None) as client:
        yield client


@dataclass
class EmmaBank:
    """A bank whose birthday order goes by EMMA: its account with a list and a mailing, and its ledger."""

    database: sa.Engine
    account: EmmaAccount
    list: int
    mailing: int

    def load(self, count: int, *, number: int = 17, first: int = 1, **values: object) -> int:
        """A loaded and released delivery of so many people."""
        return loaded(self.database, people(count, first), number, channel=EMMA.name, **values)

    def send(self, delivery: int) -> DispatchResult:
        """One dispatch by EMMA."""
        return dispatch(self.database, delivery, EMMA, day=DAY)

    def send_out(self, delivery: int) -> DispatchResult:
        """Dispatch until EMMA has brought everybody in."""
        while (result := self.send(delivery)).next_try is not None:
            pass
        return result


@pytest.fixture
def bank(
    database: sa.Engine,
    account: EmmaAccount,
    emma_url: str,
    clock_at: Callable[[datetime], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> EmmaBank:
    """The bank, at half past nine on the day; nobody is brought in yet, and EMMA's list is known by its key."""
    clock_at(NINE)
    own = world.subscriber_list(database, world.order(database, ORDER, institute=BANK), created_at=NINE)
    list_id = account.create_list("Geburtstage", "", list_key(BANK, ORDER, own))
    mailing = account.add_email(list_id)
    through = f"media: [SCOM_GEBURTSTAG], emma: {{mailing: {mailing}}}"
    configure(tmp_path, monkeypatch, bank=[("media: [SCOM_GEBURTSTAG]", through)])
    logins = {BANK: {"username": BANK, "password": "geheim"}}
    change_settings(monkeypatch, emma_url=emma_url, emma_accounts=json.dumps(logins))
    monkeypatch.setattr(accounts, "PAUSE", lambda _seconds: None)
    return EmmaBank(database, account, list_id, mailing)
