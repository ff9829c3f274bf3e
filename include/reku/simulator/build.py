"""Builds the demo world: the orders of both savings banks, their deliveries of three days, and the planted cases.

The cooperative bank's part is built beside it, from the same dice and people.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from typing import Any

from reku.catalogue.rhythm import Rhythm
from reku.simulator.cooperative_bank import CooperativeBank
from reku.simulator.data_files import data_files
from reku.simulator.people import Customer, People
from reku.simulator.world import (
    BANK_1,
    BANK_2,
    RETAINED,
    SAVINGS_BANKS,
    Behaviour,
    Bounce,
    DeliveryStep,
    DemoWorld,
    ExpectedOutcome,
    Order,
    PlannedControlFile,
    PlannedDelivery,
    PlannedRow,
    Unsubscribes,
    announced_at,
    calendar_day,
    moment,
)

RENAMED = "Kontojubilaeum_2026_neu"
"""New name of order R0000103 of the second bank from the second evening on."""

_NIGHT = {1: DeliveryStep.DAY_1, 2: DeliveryStep.DAY_2, 3: DeliveryStep.DAY_3}


def build(seed: int, day_1: date) -> DemoWorld:
    """The world of a seed and a first demo day. The same arguments give the same world."""
    draft = _Draft(random.Random(f"reku demo {seed}"), day_1)  # noqa: S311  # invented people, no secret
    for institute in SAVINGS_BANKS:
        for order in _orders(institute):
            draft.add_order(order)
        _cast(draft, institute)
    return draft.world()


def _orders(institute: str) -> list[Order]:
    first = institute == BANK_1

    def order(number: str, occasion: str, rhythm: Rhythm, name: str, rows: dict[int, int], **more: Any) -> Order:
        kind = "IAMW" if number.startswith("I") else "REKU"
        return Order(institute, number, kind, occasion, rhythm, name, rows, **more)

    daily, weekly, monthly = Rhythm.TAEGLICH, Rhythm.WOECHENTLICH, Rhythm.MONATLICH
    ages, years = ("50", "60", "70", "80"), ("10", "25", "40")
    orders = [
        order("R0000101", "MCAG002", daily, "Geburtstag_rund", {1: 96, 2: 16, 3: 16}, values=ages, ahead=True),
        order(
            "R0000102", "MCAG008", daily, "Volljaehrigkeit", {1: 45, 2: 10 if first else 0, 3: 10},
            values=("18",), ahead=True,
        ),
        order(
            "R0000103", "MCAJ604", daily, "Kontojubilaeum_2026", {1: 60, 2: 16, 3: 16}, values=years, for_firms=True
        ),
        order(
            "R0000104", "MCAK001", weekly, "SKP_erstes_Jahr", {1: 65 if first else 60},
            values=("1",), response_scope="" if first else "VERS+OEFF+NVER",
        ),
        order(
            "R0000105", "MCAC190", monthly, "Zinsbindung_Auslauf", {1: 65 if first else 50},
            products=("Baufinanzierung", "Modernisierungsdarlehen"), for_firms=True, notice=90,
        ),
        order(
            "I0000201", "MCAC120", weekly, "Willkommen_Giro", {1: 80 if first else 60},
            contents=("SCOM_NEUES_GIROKONTO", "LBS_NEUES_GIROKONTO"), for_firms=True,
        ),
    ]  # fmt: skip
    if not first:
        autka = order(
            "R0000106", "MCAU030", weekly, "Umzug_AutKA", {1: 60},
            origin="AUTKA", for_firms=True, announced=DeliveryStep.DAY_1_CURE,
        )  # fmt: skip
        orders.append(autka)
    return orders


class _Draft:
    """The world while it is built: rows by order and delivery number may still be changed and added."""

    def __init__(self, dice: random.Random, day_1: date) -> None:
        self._dice, self._people, self._day_1 = dice, People(dice), day_1
        self._orders: dict[tuple[str, str], Order] = {}
        self._rows: dict[tuple[str, str, int], list[PlannedRow]] = {}
        self._impulse = count(1)

    def date(self, day: int) -> date:
        return calendar_day(self._day_1, day)

    def add_order(self, order: Order) -> None:
        self._orders[order.institute, order.number] = order
        for number, (day, size) in enumerate(order.rows.items(), start=1):
            self._rows[order.institute, order.number, number] = []
            for index in range(size):
                customer = self._people.customer(order.institute, may_be_firm=order.for_firms)
                # Birthdays come up to two days ahead and must wait for the day itself.
                falls_on = day + index % 3 if order.ahead and day == 1 else day
                self.add_row(order.institute, order.number, number, customer, falls_on, behaviour=self._behaviour())

    def add_row(
        self, institute: str, order_number: str, number: int, customer: Customer, falls_on: int, **changes: Any
    ) -> None:
        """Add a customer to a delivery, for the occasion date of demo day `falls_on`."""
        order, rows = self._orders[institute, order_number], self._rows[institute, order_number, number]
        row = PlannedRow(
            order=order,
            delivery_number=number,
            reference=f"{order_number}-{number:06d}-{len(rows) + 1:05d}",
            customer=customer,
            occasion_date=self.date(falls_on + order.notice),
            day=max(falls_on, list(order.rows)[number - 1]),
            value=order.values[len(rows) % len(order.values)] if order.values else "",
            product=order.products[len(rows) % len(order.products)] if order.products else "",
            content=order.contents[len(rows) % len(order.contents)] if order.contents else "",
            valid_until=self.date(15) if order.kind == "IAMW" else None,
        )
        rows.append(replace(row, **changes))

    def change(self, institute: str, order_number: str, index: int, **changes: Any) -> Customer:
        """Change a row of an order's first delivery and return its customer. `dead` and others change the customer."""
        rows = self._rows[institute, order_number, 1]
        about = {name: changes.pop(name) for name in ("dead", "address") if name in changes}
        changes.setdefault("behaviour", Behaviour())
        rows[index] = replace(rows[index], customer=replace(rows[index].customer, **about), **changes)
        return rows[index].customer

    def _behaviour(self) -> Behaviour:
        fortune = self._dice.random()
        if fortune < 0.01:
            return Behaviour(bounces=Bounce.HARD)
        if fortune < 0.03:
            return Behaviour(bounces=Bounce.SOFT)
        if fortune < 0.045:
            return Behaviour(auto_reply=True)
        opens = fortune < 0.55
        clicks = self._dice.choice((1, 1, 2, 3)) if opens and fortune < 0.22 else 0
        ways = (None,) * 60 + tuple(Unsubscribes)
        return Behaviour(opens=opens, clicks=clicks, unsubscribes=self._dice.choice(ways) if opens else None)

    def world(self) -> DemoWorld:
        control_files = [self._announcement(order) for order in self._orders.values()]
        renamed = self._orders[BANK_2, "R0000103"]
        evening = DeliveryStep.DAY_2_RENAME
        control_files.append(
            PlannedControlFile(renamed, "AENDERUNG", RENAMED, self._day_1, evening, moment(self._day_1, evening))
        )
        deliveries = []
        for (institute, order_number, number), rows in self._rows.items():
            order = self._orders[institute, order_number]
            step = _NIGHT[list(order.rows)[number - 1]]
            packed = (institute, order_number) == (BANK_2, "R0000105")
            deliveries.append(PlannedDelivery(order, number, step, moment(self._day_1, step), tuple(rows), packed))
        cooperative = CooperativeBank(self._dice, self._people, self._day_1)
        data = tuple(data_files(cooperative, self._day_1))
        return DemoWorld(self._day_1, tuple(control_files), tuple(deliveries), data, tuple(cooperative.selections))

    def _announcement(self, order: Order) -> PlannedControlFile:
        early = order.announced is DeliveryStep.DAY_1
        written = announced_at(self._day_1) if early else moment(self._day_1, order.announced)
        return PlannedControlFile(order, "NEU", order.name, self._day_1, order.announced, written)


def _cast(draft: _Draft, institute: str) -> None:
    """Plant the cases that a run has to get right. In R0000101 every third row falls on the first day."""
    birthdays, of_age, jubilees = "R0000101", "R0000102", "R0000103"
    first_year, loans, welcome = "R0000104", "R0000105", "I0000201"

    def plant(order: str, index: int, **changes: Any) -> Customer:
        return draft.change(institute, order, index, **changes)

    def again(order: str, number: int, customer: Customer, falls_on: int, **changes: Any) -> None:
        draft.add_row(institute, order, number, customer, falls_on, **changes)

    def withheld(reason: str) -> dict[str, Any]:
        return {"outcome": ExpectedOutcome.WITHHELD, "reason": reason}

    # The gate rejects these: against the contract; under age; with an account number that would stand in the mail.
    plant(birthdays, 0, outcome=ExpectedOutcome.REJECTED, reason="PFLICHTFELD", broken={"Nachname": "", "Anrede": "2"})
    plant(
        birthdays, 3, outcome=ExpectedOutcome.REJECTED, reason="ADRESSE", broken={"EMail": "ohne-klammeraffe.example"}
    )
    plant(of_age, 0, value="17", outcome=ExpectedOutcome.REJECTED, reason="WERT")
    plant(loans, 2, product="Darlehen 6000123456", outcome=ExpectedOutcome.REJECTED, reason="WERT")
    plant(welcome, 3, outcome=ExpectedOutcome.REJECTED, reason="FORMAT", broken={"Anlass_Datum": "31.02.2026"})

    # No consent, on each of the three days.
    for order, index in ((birthdays, 27), (birthdays, 28), (birthdays, 29), (loans, 0), (welcome, 1), (welcome, 2)):
        plant(order, index, consent="N", **withheld("KEINE_EINWILLIGUNG"))

    # A host without a domain is an address by the book, but no mail gets there.
    plant(birthdays, 24, address="rechnungen@kontor", **withheld("ADRESSE_UNGUELTIG"))
    plant(first_year, 1, address="buero@lager", **withheld("ADRESSE_UNGUELTIG"))

    # Too late: the window of the occasion is past, or the row's own last day.
    plant(birthdays, 6, occasion_date=draft.date(1) - timedelta(days=30), **withheld("ABGELAUFEN"))
    plant(welcome, 0, valid_until=draft.date(0), **withheld("ABGELAUFEN"))

    # Unsubscribe, and are delivered again; the last one under the order's new name.
    for index, way in ((9, Unsubscribes.LINK), (12, Unsubscribes.EINKLICK)):
        leaver = plant(birthdays, index, behaviour=Behaviour(opens=True, unsubscribes=way))
        again(birthdays, 2, leaver, 2, **withheld("ABGEMELDET"))
    leaver = plant(jubilees, 0, behaviour=Behaviour(unsubscribes=Unsubscribes.LINK))
    again(jubilees, 3, leaver, 3, **withheld("ABGEMELDET"))

    # The same person for the same Anlass_Datum under a new delivery number.
    doubled = plant(birthdays, 15, behaviour=Behaviour(opens=True))
    again(birthdays, 2, doubled, 1, **withheld("DUBLETTE"))

    # Three hard bounces in a row, at RCPT and by bounce mail: the fourth attempt is retained.
    dead = plant(birthdays, 18, dead=True, outcome=ExpectedOutcome.REFUSED)
    returned = plant(birthdays, 21, behaviour=Behaviour(bounces=Bounce.HARD))
    for order in (jubilees, first_year):
        again(order, 1, dead, 1, outcome=ExpectedOutcome.REFUSED)
        again(order, 1, returned, 1, behaviour=Behaviour(bounces=Bounce.HARD))
    again(birthdays, 2, dead, 2, **withheld(RETAINED))
    again(jubilees, 2, returned, 2, **withheld(RETAINED))

    # Once refused at RCPT, today and tomorrow; bounced later; answered by a machine.
    for order, index in ((birthdays, 30), (birthdays, 31), (loans, 5), (welcome, 9)):
        plant(order, index, dead=True, outcome=ExpectedOutcome.REFUSED)
    plant(birthdays, 36, behaviour=Behaviour(bounces=Bounce.HARD))
    plant(first_year, 4, behaviour=Behaviour(bounces=Bounce.SOFT))
    plant(welcome, 12, behaviour=Behaviour(auto_reply=True))

    # Fetches the page, reads on, clicks and then leaves, all with and without leave to be counted.
    plant(loans, 7, behaviour=Behaviour(opens=True, clicks=1, unsubscribes=Unsubscribes.LINK))
    plant(loans, 8, behaviour=Behaviour(opens=True, clicks=1, unsubscribes=Unsubscribes.EINKLICK))
