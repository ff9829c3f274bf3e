"""Each night EMMA and we are held against each other: what differs is listed, and cured where that can be done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.channels.emma.account_state import lists_of
from reku.channels.emma.bars import carry_bars, take_retained
from reku.channels.emma.client import EmmaClient
from reku.channels.emma.polling import poll
from reku.foundation import clock
from reku.store.tables import emma_cursors

LOOK_BACK = timedelta(days=3)
"""So far back each night reads all events again."""


@dataclass(frozen=True)
class Difference:
    """Something that differed between EMMA and us: what, how often, and whether it is cured."""

    what: str
    count: int
    cured: bool


def reconcile(engine: sa.Engine, bank: Institute, client: EmmaClient) -> list[Difference]:
    """Read the last days again, carry what was not carried, take over retained addresses. Lists what differed."""
    back = clock.now() - LOOK_BACK
    with engine.begin() as connection:
        connection.execute(
            sa.update(emma_cursors)
            .where(emma_cursors.c.institute == bank.blz, emma_cursors.c.since > back)
            .values(since=back, place=0)
        )
    late = poll(engine, bank, client)
    found = [
        Difference(f"{call}: events that had been missed", count, cured=True)
        for call, count in late.items()
        if call != "aside" and count
    ]
    if late["aside"]:
        found.append(
            Difference("events of people whom the ledger does not know: kept aside", late["aside"], cured=False)
        )
    if carried := carry_bars(engine, bank, client):
        found.append(Difference("barred here and not in EMMA: unsubscribed there", carried, cured=True))
    if retained := take_retained(engine, bank, client):
        found.append(Difference("retained in EMMA and not here: barred here", retained, cured=True))
    if lost := _lost_lists(engine, bank, client):
        found.append(Difference("lists that people were brought into and that EMMA has no more", lost, cured=False))
    return found


def _lost_lists(engine: sa.Engine, bank: Institute, client: EmmaClient) -> int:
    return sum(not line.number and not line.frozen for line in lists_of(engine, bank, client))
