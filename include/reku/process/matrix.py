"""How the last period of each order stands: occasions across banks, one state a cell."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from reku.foundation.words import Words
from reku.process.banks import Banks
from reku.process.needs import Need, NeedKind, needs
from reku.store.states import STILL_TO_BE_LOADED, DeliveryState
from reku.store.tables import deliveries, orders


class CellState(StrEnum):
    """How an order stands; the gravest first."""

    FAILED = "FAILED"  # a task of its newest deliveries failed, and nobody has made that good
    NEEDS_A_PERSON = "NEEDS_A_PERSON"  # in doubt, stopped, waiting for release, faulty control file …
    REFUSED = "REFUSED"  # its newest delivery was refused or declined
    MISSED = "MISSED"  # a delivery that was expected has not come
    PARKED = "PARKED"  # its newest delivery waits for a control file
    UNDER_WAY = "UNDER_WAY"  # its newest delivery is on its way to its list
    FINE = "FINE"  # its newest delivery was loaded
    NOTHING_YET = "NOTHING_YET"  # ordered, and nothing has come yet

    @property
    def words(self) -> Words:
        """The state for people."""
        return _WORDS[self]


_WORDS = {
    CellState.FAILED: Words("fehlgeschlagen", "failed"),
    CellState.NEEDS_A_PERSON: Words("zu tun", "needs a person"),
    CellState.REFUSED: Words("abgewiesen", "refused"),
    CellState.MISSED: Words("fehlt", "missing"),
    CellState.PARKED: Words("geparkt", "parked"),
    CellState.UNDER_WAY: Words("unterwegs", "under way"),
    CellState.FINE: Words("in Ordnung", "fine"),
    CellState.NOTHING_YET: Words("noch nichts", "nothing yet"),
}


@dataclass(frozen=True)
class Cell:
    """One order. `day`: of its newest delivery, None if there was none."""

    institute: str
    bank: str
    occasion: str
    order: str
    name: str
    day: date | None
    state: CellState

    def is_named(self, bank: str, occasion: str) -> bool:
        """Whether bank (name or BLZ) and occasion (code) have these parts in them, upper and lower case ignored."""
        is_bank = bank.casefold() in f"{self.bank} {self.institute}".casefold()
        return is_bank and occasion.casefold() in self.occasion.casefold()


def cells(engine: sa.Engine, failed: Collection[int] = ()) -> list[Cell]:
    """All orders in force, by bank and occasion. `failed`: deliveries (ids) of which a task failed."""
    banks = Banks()
    urgent = _by_order(needs(engine))
    with engine.connect() as connection:
        c = deliveries.c
        with_failure = connection.execute(sa.select(c.institute, c.order_number).where(c.id.in_(failed))).all()
        urgent |= {(row.institute, row.order_number): CellState.FAILED for row in with_failure}
        rows = connection.execute(_orders()).all()
    found = []
    for row in rows:
        bank = banks.get(row.institute)
        state = urgent.get((row.institute, row.order_number)) or _state(row.state)
        name = bank.name if bank else row.institute
        found.append(Cell(row.institute, name, row.occasion, row.order_number, row.name, row.day, state))
    return sorted(found, key=lambda cell: (cell.bank, cell.institute, cell.occasion, cell.order))


def _by_order(found: list[Need]) -> dict[tuple[str, str], CellState]:
    """The gravest of what is known of each order."""
    named = {
        NeedKind.FAILED: CellState.FAILED,
        NeedKind.MISSING: CellState.MISSED,
        NeedKind.REFUSED: CellState.REFUSED,
        NeedKind.PARKED: CellState.PARKED,
    }
    place = {state: number for number, state in enumerate(CellState)}
    gravest: dict[tuple[str, str], CellState] = {}
    for need in found:
        if need.order:
            key, state = (need.institute, need.order), named.get(need.kind, CellState.NEEDS_A_PERSON)
            gravest[key] = min(gravest.get(key, state), state, key=lambda one: place[one])
    return gravest


def _state(delivery: str | None) -> CellState:
    match delivery:
        case None:
            return CellState.NOTHING_YET
        case DeliveryState.LOADED:
            return CellState.FINE
        case DeliveryState.PARKED:
            return CellState.PARKED
        case state if state in STILL_TO_BE_LOADED:
            return CellState.UNDER_WAY
    return CellState.REFUSED


def _orders() -> sa.Select[Any]:
    c = deliveries.c
    newest = (
        sa.select(c.order_id, c.state, c.day)
        .ext(distinct_on(c.order_id))
        .where(c.order_id.is_not(None))
        .order_by(c.order_id, c.delivery_number.desc(), c.id.desc())
        .subquery()
    )
    of = orders.c
    return (
        sa.select(of.institute, of.occasion, of.order_number, of.name, newest.c.state, newest.c.day)
        .outerjoin(newest, newest.c.order_id == of.id)
        .where(~of.ended)
    )
