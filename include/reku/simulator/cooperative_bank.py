"""The demo's cooperative bank: all its customers as they are, and whom its two campaigns must find among them.

It delivers no selected people but data about everybody; who is selected follows from these, and is planned here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from reku.catalogue.rhythm import Rhythm
from reku.simulator.people import Customer, People
from reku.simulator.world import (
    BANK_3,
    DAYS,
    Behaviour,
    Bounce,
    DeliveryStep,
    ExpectedOutcome,
    Order,
    PlannedDelivery,
    PlannedRow,
    Unsubscribes,
    calendar_day,
    moment,
)

PEOPLE = 2_000
"""Customers of the bank; few of them have an occasion in the three days."""
REPORTED = "VERS+OEFF+KLIC+NVER"
"""What advisors are told of besides what everybody is told: no soft bounces, no mails that somebody has put off."""
BIRTHDAYS = Order(
    BANK_3, "K2026-001", "AUSWAHL", "MCAG001", Rhythm.TAEGLICH, "Hohe Geburtstage", dict.fromkeys(DAYS, 14),
    response_scope=REPORTED,
)  # fmt: skip
JUBILEES = Order(
    BANK_3, "K2026-002", "AUSWAHL", "MCAJ604", Rhythm.TAEGLICH, "Kontojubiläum", dict.fromkeys(DAYS, 10),
    response_scope=REPORTED,
)  # fmt: skip
ORDERS = (BIRTHDAYS, JUBILEES)
SHARED = "0000009999"
"""The household of two who share an address."""
_DATA = {day: DeliveryStep[f"DAY_{day}_DATA"] for day in DAYS}
_CLEAR_OF_WINDOWS = timedelta(days=10)
"""So far from the three days nobody's window is open: birthdays are written to for 3 days, jubilees for 7."""
_AGES, _YEARS = (76, 80, 84, 88), (20, 40)
"""Multiples of four, so that whoever was born on a 29 February has a birthday on the day."""


@dataclass(frozen=True)
class Holding:
    """A contract of a customer."""

    number: str
    product: str
    opened: date


@dataclass(frozen=True)
class Person:
    """A customer as the bank's data have him. `addresses`: mail addresses, the first one is the customer's own.

    `gone_from`: the demo day from which on the data do not have him any more.
    """

    customer: Customer
    born: date
    holdings: tuple[Holding, ...]
    addresses: tuple[str, ...]
    household: str
    is_contact: bool = True
    consents: bool = True
    refuses: bool = False
    is_estate: bool = False
    gone_from: int | None = None


class CooperativeBank:
    """`people`: everybody. `selections`: what must be selected for its orders on each day, and what becomes of it."""

    def __init__(self, dice: random.Random, people: People, day_1: date) -> None:
        self._dice, self._day_1 = dice, day_1
        self.people = [self._somebody(people.customer(BANK_3, may_be_firm=False), n) for n in range(PEOPLE)]
        self._rows: dict[tuple[str, int], list[PlannedRow]] = {}
        free = iter(range(PEOPLE))
        for order in ORDERS:
            for day, size in order.rows.items():
                for _ in range(size):
                    self._expect(order, self._give(order, next(free), day), day, behaviour=self._behaviour())
        self._cast(free)
        self.selections = [
            PlannedDelivery(order, day, step, moment(day_1, step), tuple(self._rows[order.number, day]))
            for order in ORDERS
            for day, step in _DATA.items()
        ]

    def on(self, day: int) -> list[Person]:
        """Everybody whom the data of a demo day hold."""
        return [person for person in self.people if person.gone_from is None or day < person.gone_from]

    def _somebody(self, customer: Customer, number: int) -> Person:
        """A customer without any occasion in the three days; every other one shares a household with the next."""
        accounts = [Holding(f"7{number:09d}", "GIRO", self._far_date(0, 30))]
        if self._dice.random() < 0.4:
            accounts.append(Holding(f"8{number:09d}", "FESTGELD", self._far_date(0, 5)))
        more = (f"zweit.{customer.address}",) if self._dice.random() < 0.15 else ()
        return Person(
            customer,
            self._far_date(18, 90),
            tuple(accounts),
            (customer.address, *more),
            household=f"{number // 2:010d}" if self._dice.random() < 0.5 else "",
            is_contact=number % 2 == 0,
            consents=self._dice.random() < 0.8,
            refuses=self._dice.random() < 0.05,
            is_estate=self._dice.random() < 0.02,
        )

    def _far_date(self, least: int, most: int) -> date:
        """A day between so many years ago, whose anniversary lies far from the three days."""
        while True:
            day = self._day_1 - timedelta(days=self._dice.randint(least * 366 + 30, most * 366 + 60))
            if day.month == 2 and day.day == 29:
                continue
            near = (day.replace(year=self._day_1.year + shift) for shift in (-1, 0, 1))
            if all(abs(one - calendar_day(self._day_1, 2)) > _CLEAR_OF_WINDOWS for one in near):
                return day

    def _give(self, order: Order, index: int, day: int, *, dead: bool = False, **about: Any) -> Person:
        """Give somebody the occasion of an order, on a demo day; `about` changes the person further.

        `dead`: the mail server does not know the address, the only one.
        """
        person, occasion = self.people[index], calendar_day(self._day_1, day)
        begun = occasion.replace(year=occasion.year - self._dice.choice(_AGES if order is BIRTHDAYS else _YEARS))
        if order is BIRTHDAYS:
            about["born"] = begun
        else:
            about["holdings"] = (replace(person.holdings[0], opened=begun), *person.holdings[1:])
        if dead:
            about |= {"customer": replace(person.customer, dead=True), "addresses": person.addresses[:1]}
        self.people[index] = replace(person, **{"consents": True, "refuses": False, "is_estate": False} | about)
        return self.people[index]

    def _expect(self, order: Order, person: Person, day: int, falls_on: int | None = None, **changes: Any) -> None:
        """On a demo day a row for each address of the person must be selected, for the occasion of day `falls_on`.

        Only the first one is reacted to, as people read one of their mails; but what goes wrong goes wrong with each.
        """
        for place, address in enumerate(person.addresses):
            row = PlannedRow(
                order=order,
                delivery_number=day,
                reference=f"{person.customer.person_number}.{place}",
                customer=replace(person.customer, address=address),
                occasion_date=calendar_day(self._day_1, day if falls_on is None else falls_on),
                day=day,
            )
            if place:
                changes.pop("behaviour", None)
            self._rows.setdefault((order.number, day), []).append(replace(row, **changes))

    def _behaviour(self) -> Behaviour:
        fortune = self._dice.random()
        return Behaviour(opens=fortune < 0.5, clicks=1 if fortune < 0.2 else 0)

    def _cast(self, free: Iterator[int]) -> None:
        """Plant the cases that a run has to get right."""

        def birthday(day: int, **about: Any) -> Person:
            return self._give(BIRTHDAYS, next(free), day, **about)

        # Refuse advertising, have died, have not consented, leave the bank before their day: nobody is written to.
        birthday(1, refuses=True)
        birthday(1, is_estate=True)
        birthday(1, consents=False)
        birthday(3, gone_from=2)
        # Had their birthday before the campaign began, and the window is still open.
        for _ in range(2):
            self._expect(BIRTHDAYS, birthday(0), 1, falls_on=0)
        # The mail server does not know the address; a mail comes back; people unsubscribe.
        self._expect(BIRTHDAYS, birthday(1, dead=True), 1, outcome=ExpectedOutcome.REFUSED)
        self._expect(JUBILEES, self._give(JUBILEES, next(free), 2), 2, behaviour=Behaviour(bounces=Bounce.HARD))
        leaves = Behaviour(opens=True, unsubscribes=Unsubscribes.LINK)
        self._expect(BIRTHDAYS, birthday(1), 1, behaviour=leaves)
        leaves = Behaviour(unsubscribes=Unsubscribes.EINKLICK)
        self._expect(JUBILEES, self._give(JUBILEES, next(free), 1), 1, behaviour=leaves)
        # Two of a household share an address: one mail, to the contact person.
        contact = birthday(2, household=SHARED, is_contact=True)
        contact = self._give(BIRTHDAYS, self.people.index(contact), 2, addresses=contact.addresses[:1])
        birthday(2, household=SHARED, is_contact=False, addresses=contact.addresses)
        self._expect(BIRTHDAYS, contact, 2)
