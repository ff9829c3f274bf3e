"""What has come back to an EMMA account: read page by page behind a cursor of its own for each call, each event once.

A page, what is made of it and the cursor are one transaction, so a reading that was killed goes on where it was. What
was read last is read again for a while: EMMA writes some events late, and its clock may be put back.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.catalogue.institute import Institute
from reku.channels.emma.answers import Export, Row
from reku.channels.emma.client import PAGE, EmmaClient
from reku.channels.emma.errors import NOT_RUN_YET, EmmaRefused, EmmaShape
from reku.channels.emma.importing import check_fields
from reku.channels.emma.made_of import make_events
from reku.channels.emma.outcome import end_files
from reku.channels.emma.rows import KEY, of_key
from reku.foundation import clock
from reku.store.tables import emma_cursors, emma_events

READ_AGAIN = timedelta(hours=2)
"""So long before the newest known event the next reading begins; it covers the hour that a clock is put back."""
OF_EMAIL = ("getRecipientsByEmailId", "getBouncesByEmailId", "getOpeningsByEmailId", "getClicksByEmailId")
"""What is asked of each mailing; who was sent to stands first."""
OPT_OUTS = "getOptouts"
HISTORY = "exportHistory"
OF_HISTORY = ("notsent", "complaint")
"""What only the account's history tells."""
HITS = ("getOpeningsByEmailId", "getClicksByEmailId")


@dataclass(frozen=True)
class Told:
    """An event that EMMA tells of a message. `message`: None where the ledger knows nobody of its key."""

    row: Row
    at: datetime
    message: sa.Row[Any] | None
    digest: str


def poll(engine: sa.Engine, bank: Institute, client: EmmaClient) -> Counter[str]:
    """Read what is new of a bank's account. Returns how many events were new by call, and those `aside`.

    One call that fails holds up no other: the first error is raised when all have been asked.
    """
    field = check_fields(client)[KEY]
    counted, errors = Counter[str](), list[Exception]()
    calls: list[Callable[[], Counter[str]]] = [
        *(
            partial(read_call, engine, bank, client, call, mailing, field)
            for mailing in mailings_of(engine, bank)
            for call in OF_EMAIL
        ),
        partial(read_call, engine, bank, client, OPT_OUTS, 0, field),
        *(partial(read_history, engine, bank, client, kind, field) for kind in OF_HISTORY),
    ]
    for call in calls:
        try:
            counted += call()
        except Exception as error:  # noqa: BLE001 - raised below, when the others had their turn
            errors.append(error)
    with engine.begin() as connection:
        end_files(connection, bank.blz, clock.now())
    if errors:
        raise errors[0]
    return counted


def mailings_of(engine: sa.Engine, bank: Institute) -> list[int]:
    """The mailings that the bank's campaigns name, and those that they have named."""
    named = {campaign.emma.mailing for campaign in bank.campaigns if campaign.emma}
    known = sa.select(emma_cursors.c.mailing).where(emma_cursors.c.institute == bank.blz, emma_cursors.c.mailing > 0)
    with engine.connect() as connection:
        return sorted(named | set(connection.scalars(known)))


def read_call(
    engine: sa.Engine, bank: Institute, client: EmmaClient, call: str, mailing: int, field: str
) -> Counter[str]:
    """Read what a call tells, from its cursor to its end."""
    counted = Counter[str]()
    given: dict[str, Any] = {"emailId": mailing} if mailing else {}
    while True:
        since, place = _cursor(engine, bank.blz, call, mailing)
        advanced: dict[str, Any] = {"start": place, "limit": PAGE, "fields": [field]}
        if since is not None:
            advanced["startDate"] = f"{clock.berlin(since):%Y-%m-%d %H:%M:%S}"
        try:
            rows = client.ask(call, list[Row], advanced=advanced, **given)
        except EmmaRefused as refused:
            if refused.code != NOT_RUN_YET or call != "getClicksByEmailId":
                raise
            rows = []
        counted += take_page(engine, bank, call, mailing, field, rows, place=place)
        if len(rows) < PAGE:
            return counted


def read_history(engine: sa.Engine, bank: Institute, client: EmmaClient, kind: str, field: str) -> Counter[str]:
    """Read one kind of the account's history: an export is started, and read once it is done; else the next time."""
    call, counted = f"{HISTORY} {kind}", Counter[str]()
    since, _ = _cursor(engine, bank.blz, call, 0)
    start = f"{clock.berlin(since):%Y-%m-%d %H:%M:%S}" if since else ""
    export = client.ask(HISTORY, int, type=kind, startDate=start)
    for place in range(0, 10**9, PAGE):
        advanced = {"start": place, "limit": PAGE, "fields": [field]}
        for _look in range(LOOKS):
            page = client.ask("getHistoryExport", Export, exportId=export, advanced=advanced)
            if page.status == "done":
                break
        else:
            return counted
        counted += take_page(engine, bank, call, 0, field, page.data, place=None)
        if len(page.data) < PAGE:
            break
    return counted


LOOKS = 5
"""So often an export is asked for in one reading."""


def take_page(
    engine: sa.Engine, bank: Institute, call: str, mailing: int, field: str, rows: Sequence[Row], *, place: int | None
) -> Counter[str]:
    """Take a page in, with its cursor, in one transaction.

    `place`: where the page begins; somebody else who has taken it meanwhile goes on with what follows. None: of what is
    read as a whole. Raises EmmaShape for a date that is none.
    """
    with engine.begin() as connection:
        held = connection.execute(
            sa.select(emma_cursors)
            .where(emma_cursors.c.institute == bank.blz, emma_cursors.c.call == call, emma_cursors.c.mailing == mailing)
            .with_for_update()
        ).one()
        if place is not None and held.place != place:
            return Counter()
        told = _told(connection, bank.blz, call, mailing, field, rows)
        counted = _keep(connection, bank.blz, call, told)
        newest = max([one.at for one in told] + ([held.newest] if held.newest else []), default=None)
        values: dict[str, Any] = {"newest": newest}
        if len(rows) < PAGE:
            back = newest - READ_AGAIN if newest else None
            values |= {
                "place": 0,
                "complete_at": clock.now(),
                "since": max(filter(None, (back, held.since)), default=None),
            }
        elif place is not None:
            values["place"] = place + PAGE
        connection.execute(
            sa.update(emma_cursors)
            .where(emma_cursors.c.institute == bank.blz, emma_cursors.c.call == call, emma_cursors.c.mailing == mailing)
            .values(values)
        )
    return counted


def _cursor(engine: sa.Engine, institute: str, call: str, mailing: int) -> tuple[datetime | None, int]:
    of = emma_cursors.c
    with engine.begin() as connection:
        connection.execute(
            insert(emma_cursors).values(institute=institute, call=call, mailing=mailing).on_conflict_do_nothing()
        )
        row = connection.execute(
            sa.select(of.since, of.place).where(of.institute == institute, of.call == call, of.mailing == mailing)
        ).one()
    return row.since, row.place


_MESSAGES = sa.text("""
    SELECT k.position, m.id, m.institute, m.tracking, m.begun_at, m.order_id, m.recipient_key, m.person_number
    FROM unnest(
        CAST(:positions AS int[]), CAST(:orders AS text[]), CAST(:numbers AS int[]), CAST(:references AS text[])
    )
        AS k(position, order_number, number, reference)
    JOIN reku.deliveries d ON d.institute = :institute AND d.order_number = k.order_number
        AND d.delivery_number = k.number
    JOIN reku.messages m ON m.delivery_id = d.id AND m.reference = k.reference AND m.channel = 'emma'
""")


def _told(
    connection: sa.Connection, institute: str, call: str, mailing: int, field: str, rows: Sequence[Row]
) -> list[Told]:
    """The rows with their messages, each once."""
    keys = [of_key(row.value_of(field)) for row in rows]
    known = [(position, *key) for position, key in enumerate(keys) if key]
    columns = list(zip(*known, strict=True)) if known else [(), (), (), ()]
    given = dict(zip(("positions", "orders", "numbers", "references"), map(list, columns), strict=True))
    found = {row.position: row for row in connection.execute(_MESSAGES, given | {"institute": institute})}
    told: dict[str, Told] = {}
    for position, row in enumerate(rows):
        try:
            at = row.at()
        except ValueError:
            raise EmmaShape(call, f"result[{position}].date is no YYYY-MM-DD HH:MM:SS", institute) from None
        link = row.link.id if row.link else ""
        about = (institute, call, mailing, row.email, row.recipient, row.date, row.type, row.reason, link)
        digest = hashlib.sha256("|".join(map(str, about)).encode()).hexdigest()
        told.setdefault(digest, Told(row, at, found.get(position), digest))
    return list(told.values())


def _keep(connection: sa.Connection, institute: str, call: str, told: Sequence[Told]) -> Counter[str]:
    """Keep what is new, and make events of it. Of people without consent to tracking no open and no click is kept."""
    wanted = [one for one in told if call not in HITS or one.message is None or one.message.tracking]
    if not wanted:
        return Counter()
    moment = clock.now()
    rows = [
        {
            "institute": institute,
            "call": call,
            "digest": one.digest,
            "message_id": one.message.id if one.message else None,
            "at": one.at,
            "raw": _raw(call, one),
            "noted_at": moment,
        }
        for one in sorted(wanted, key=lambda one: one.digest)  # in one order, so that two readers wait in turn
    ]
    new = set(connection.scalars(insert(emma_events).on_conflict_do_nothing().returning(emma_events.c.digest), rows))
    fresh = [one for one in wanted if one.digest in new]
    make_events(connection, call, [(one.row, one.at, one.message) for one in fresh if one.message is not None])
    return Counter({call: len(fresh), "aside": sum(one.message is None for one in fresh)})


def _raw(call: str, one: Told) -> dict[str, Any]:
    """As it came; of an open or click of somebody whom we do not know only that there was one."""
    raw = one.row.without_person()
    if one.message is None and call in HITS:
        raw = {name: value for name, value in raw.items() if name == "date"}
    return raw
