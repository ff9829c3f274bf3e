"""An account as it stands: its lists, what waits for it, and how far it was read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.channels.emma.accounts import open_client
from reku.channels.emma.answers import EmmaList
from reku.channels.emma.client import EmmaClient
from reku.channels.emma.order_list import NUMBER_OF_LISTS, list_key
from reku.foundation.errors import RekuError
from reku.store.states import with_states

_LISTS = sa.text("""
    SELECT DISTINCT l.id, o.order_number, l.name, l.frozen_at
    FROM reku.lists l JOIN reku.orders o ON o.id = l.order_id
    JOIN reku.messages m ON m.order_id = o.id AND m.channel = 'emma'
    WHERE l.institute = :institute AND l.created_at IS NOT NULL
    ORDER BY l.id
""")


@dataclass(frozen=True)
class EmmaListLine:
    """A list of ours: its number in EMMA (empty: it is not there), its people there, and whether it is frozen."""

    name: str
    order: str
    number: str
    people: int
    frozen: bool


def lists_of(engine: sa.Engine, bank: Institute, client: EmmaClient) -> list[EmmaListLine]:
    """The lists of orders that go by EMMA, as they are there."""
    there: dict[str | None, EmmaList] = {one.substitute: one for one in client.ask("getLists", list[EmmaList])}
    with engine.connect() as connection:
        rows = connection.execute(_LISTS, {"institute": bank.blz}).all()
    lines = []
    for row in rows:
        one = there.get(list_key(bank.blz, row.order_number, row.id))
        people = client.ask("getRecipientCountByListId", int, listId=one.id) if one else 0
        number = str(one.id) if one else ""
        lines.append(EmmaListLine(row.name, row.order_number, number, people, row.frozen_at is not None))
    return lines


@dataclass(frozen=True)
class AccountStatus:
    """An account as it stands.

    `problem`: why it cannot be talked to, or empty. `lists_left`: how many more it may have. `waiting`: messages that
    it has, or is to get; `aside`: events of people whom the ledger does not know. `read_at`: since then everything that
    it told is here; None: it was never read to its end.
    """

    institute: str
    problem: str
    lists: int
    lists_left: int
    waiting: int
    in_doubt: int
    events: int
    aside: int
    read_at: datetime | None


_STATUS = with_states("""
    SELECT count(*) FILTER (WHERE m.state = 'PREPARED') AS waiting,
        count(*) FILTER (WHERE m.state = 'IN_DOUBT') AS in_doubt,
        (SELECT count(*) FROM reku.emma_events e WHERE e.institute = :institute) AS events,
        (SELECT count(*) FROM reku.emma_events e WHERE e.institute = :institute AND e.message_id IS NULL) AS aside,
        (SELECT min(c.complete_at) FROM reku.emma_cursors c WHERE c.institute = :institute) AS read_at
    FROM reku.messages m
    WHERE m.institute = :institute AND m.channel = 'emma' AND m.state IN {IS_SENT_WITH_ITS_FILE}
""")


def account_status(engine: sa.Engine, institute: str) -> AccountStatus:
    """How a bank's account stands; that it cannot be talked to is part of the answer."""
    problem, lists = "", 0
    try:
        with open_client(institute) as client:
            lists = len(client.ask("getLists", list[EmmaList]))
    except RekuError as error:
        problem = str(error)
    with engine.connect() as connection:
        row = connection.execute(_STATUS, {"institute": institute}).one()
    left = 0 if problem else NUMBER_OF_LISTS - lists
    return AccountStatus(institute, problem, lists, left, *row)
