"""Events to be reported, and response files as the receiver reads them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from reku.foundation import clock
from reku.records.contract import contracts
from reku.records.reader import read
from reku.records.rows import row_faults
from reku.store.events import Event, record
from reku.store.kinds import EventKind, UnsubscribedFrom
from reku.store.states import MessageState
from reku.store.tables import feedback_files, messages
from reku.vault import numbers
from reku.vault.pseudonyms import NumberKind, pseudonymiser
from reku_testing import world

NOW = datetime(2026, 11, 22, 21, tzinfo=UTC)
BEGUN = NOW - timedelta(hours=12)
"""When the mails were sent, unless told otherwise."""
K = EventKind


class World:
    """Messages of an order, and what happened to them."""

    def __init__(self, engine: sa.Engine, number: str = world.ORDER, **order: Any) -> None:
        self.engine, self.order_number = engine, number
        self.order = world.order(engine, number, **order)
        self.delivery = world.delivery(engine, self.order)
        self._people = 0

    def message(self, **values: Any) -> int:
        self._people += 1
        row = world.row(
            self.engine, self.delivery, world.reku_fields(self._people, order=self.order_number), line=2 + self._people
        )
        sent = {"state": MessageState.SENT, "medium": "SCOM_GEBURTSTAG", "begun_at": BEGUN, "ended_at": BEGUN}
        return world.message(self.engine, row, **(sent | values))

    def event(self, message: int, kind: EventKind, at: datetime = NOW, reason: str = "", **more: Any) -> None:
        if kind in (K.BOUNCED_HARD, K.BOUNCED_SOFT, K.BOUNCED_UNKNOWN):
            reason = reason or "5.1.1"
        if kind is K.UNSUBSCRIBED:
            reason, more = reason or "LINK", {"scope": UnsubscribedFrom.ORDER} | more
        with self.engine.begin() as connection:
            record(connection, [Event(message, kind, at, reason or ("DUBLETTE" if kind is K.NOT_SENT else ""), **more)])


def pseudonymise(engine: sa.Engine, institute: str = world.BLZ) -> dict[str, str]:
    """Put pseudonyms for the clear numbers of the ledger, and keep those sealed, as an import does.

    Returns the clear numbers by pseudonym.
    """
    of = messages.c
    with engine.begin() as connection:
        known = connection.scalars(sa.select(of.person_number).distinct().where(of.institute == institute)).all()
        pseudonym = pseudonymiser(connection, institute)
        new = {pseudonym(NumberKind.PERSON, number): number for number in known if number.isdecimal()}
        numbers.keep(connection, institute, new, clock.today())
        for name, number in new.items():
            own = (of.institute == institute) & (of.person_number == number)
            connection.execute(sa.update(messages).where(own).values(person_number=name))
    return new


def rows_of(data: bytes, kind: str = "RESPONSE") -> list[dict[str, str]]:
    """The file read by our own reader; every row holds to the contract."""
    found = read(contracts()[kind], data, environment="T")
    assert row_faults(contracts()[kind], found) == []
    return list(found.as_dicts())


def kinds_of(data: bytes) -> list[str]:
    """The codes of `Ereignis_Art`, row by row."""
    return [row["Ereignis_Art"] for row in rows_of(data)]


def codes(kinds: Iterable[EventKind]) -> set[str]:
    """What the contract calls these kinds."""
    called = {word: code for code, word in contracts()["RESPONSE"].words("Ereignis_Art").items()}
    return {called[kind] for kind in kinds}


def files(engine: sa.Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(feedback_files).order_by(feedback_files.c.number)).all())
