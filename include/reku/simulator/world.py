"""The demo world: which banks order what, who is delivered when, and what must become of each row.

Everything follows from a seed and the first demo day. A demo lasts three days; `DeliveryStep` is the order in which the
core banks deliver. `build` makes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache, cached_property

from reku.catalogue.calendar import is_bank_working_day
from reku.catalogue.rhythm import Rhythm
from reku.foundation import clock
from reku.foundation.addresses import normalise
from reku.simulator.people import Customer

BANK_1, BANK_2, BANK_3 = "99990001", "99990002", "99990003"
"""Two savings banks and a cooperative bank."""
SAVINGS_BANKS = (BANK_1, BANK_2)
BANKS = (*SAVINGS_BANKS, BANK_3)
DAYS = (1, 2, 3)
LAST_DAY = DAYS[-1]


class DeliveryStep(StrEnum):
    """When the core banks deliver, in this order."""

    DAY_1 = "day 1, at night"
    DAY_1_DATA = "day 1, in the morning: the cooperative bank's data"
    DAY_1_CURE = "day 1, in the morning: the control file that a delivery waits for"
    DAY_2 = "day 2, at night"
    DAY_2_DATA = "day 2, in the morning: the cooperative bank's data"
    DAY_2_RENAME = "day 2, in the evening: an order is renamed"
    DAY_3 = "day 3, at night"
    DAY_3_DATA = "day 3, in the morning: the cooperative bank's data"

    @property
    def day(self) -> int:
        """The demo day, 1 to 3."""
        return int(self.name[4])

    @property
    def brings_data(self) -> bool:
        """Whether data about all customers come, from which we select."""
        return self.name.endswith("_DATA")


class ExpectedOutcome(StrEnum):
    """What must become of a row."""

    SENT = "SENT"  # the mail server takes it
    WITHHELD = "WITHHELD"  # not sent, for the row's reason
    REJECTED = "REJECTED"  # kept out by the gate, with the row's reason as Fehler_Code
    REFUSED = "REFUSED"  # the mail server does not know the address: 550 5.1.1 to RCPT


class Unsubscribes(StrEnum):
    """How a customer unsubscribes: Grund_Code of ABME."""

    LINK = "LINK"  # link in the mail, then the form of the page
    EINKLICK = "EINKLICK"  # button of the mail program (RFC 8058)


class Bounce(StrEnum):
    """A mail that comes back after the server took it: enhanced status code (RFC 3463)."""

    HARD = "5.1.1"
    SOFT = "5.2.2"


RETAINED = "ZRUE"
"""Reason of a withheld row whose address is retained; all other reasons are Grund_Code of NVER."""


@dataclass(frozen=True)
class Behaviour:
    """What a customer does with a mail that arrived. `clicks`: 0 = no link, else the how-manieth he sees."""

    opens: bool = False
    clicks: int = 0
    unsubscribes: Unsubscribes | None = None
    bounces: Bounce | None = None
    auto_reply: bool = False


@dataclass(frozen=True)
class Order:
    """An order of a bank.

    `rows`: demo day → rows of that day's delivery, before the planted cases. `values`, `products`, `contents`:
    Anlass_Wert, Produkt_Text and Content_Schluessel in turn. `ahead`: the first delivery holds the occasions of all
    three days. `notice`: days from the delivery to the occasion itself. `announced`: when its control file comes.
    """

    institute: str
    number: str
    kind: str
    occasion: str
    rhythm: Rhythm
    name: str
    rows: Mapping[int, int]
    values: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    response_scope: str = ""
    origin: str = "BANK"
    for_firms: bool = False
    ahead: bool = False
    notice: int = 0
    announced: DeliveryStep = DeliveryStep.DAY_1

    @property
    def wanted_kinds(self) -> frozenset[str]:
        """Kinds of responses that the core bank wants back (Response_Umfang)."""
        always = {"ABME", "BESC", "HBOU", "ZRUE"}
        default = {"VERS", "OEFF", "KLIC", "SBOU", "UBOU", "NVER"}
        return frozenset(always | (set(self.response_scope.split("+")) if self.response_scope else default))


@dataclass(frozen=True)
class PlannedRow:
    """A delivered person and what must become of it on demo day `day`."""

    order: Order
    delivery_number: int
    reference: str
    customer: Customer
    occasion_date: date
    day: int
    outcome: ExpectedOutcome = ExpectedOutcome.SENT
    reason: str = ""
    consent: str = "J"
    value: str = ""
    product: str = ""
    content: str = ""
    valid_until: date | None = None
    broken: Mapping[str, str] = field(default_factory=dict)
    behaviour: Behaviour = Behaviour()


@dataclass(frozen=True)
class PlannedDelivery:
    """A delivery: a file, or what must be selected from a bank's data."""

    order: Order
    number: int
    step: DeliveryStep
    created_at: datetime
    rows: tuple[PlannedRow, ...]
    packed: bool = False

    @property
    def institute(self) -> str:
        """The BLZ of the bank."""
        return self.order.institute


@dataclass(frozen=True)
class PlannedControlFile:
    """A control file: `event` is NEU or AENDERUNG, `name` the order's name from then on."""

    order: Order
    event: str
    name: str
    valid_from: date
    step: DeliveryStep
    created_at: datetime

    @property
    def institute(self) -> str:
        """The BLZ of the bank."""
        return self.order.institute


@dataclass(frozen=True)
class PlannedData:
    """A file with data about all customers of a bank; `kind` is its Dateiart, `rows` are by the contract's columns."""

    institute: str
    kind: str
    step: DeliveryStep
    created_at: datetime
    rows: tuple[Mapping[str, str], ...]


PlannedFile = PlannedControlFile | PlannedDelivery | PlannedData


@cache
def normal_form(address: str) -> str:
    """The form in which addresses are compared, kept because the same thousand are asked for again and again."""
    return normalise(address)


@dataclass(frozen=True)
class DemoWorld:
    """All files of the demo and all that must come of them. `selections`: what must be selected from `data`."""

    day_1: date
    control_files: tuple[PlannedControlFile, ...]
    deliveries: tuple[PlannedDelivery, ...]
    data: tuple[PlannedData, ...] = ()
    selections: tuple[PlannedDelivery, ...] = ()

    def files(self, step: DeliveryStep) -> list[PlannedFile]:
        """What the core banks write in a step, control files first."""
        files: list[PlannedFile] = [*self.control_files, *self.deliveries, *self.data]
        return [file for file in files if file.step is step]

    def rows(self) -> Iterator[PlannedRow]:
        """All rows of all deliveries and selections."""
        for delivery in (*self.deliveries, *self.selections):
            yield from delivery.rows

    def of_banks(self, *banks: str) -> DemoWorld:
        """The part of the world that is some banks'. The second savings bank's alone has all their planted cases."""
        return DemoWorld(
            self.day_1,
            tuple(file for file in self.control_files if file.institute in banks),
            tuple(delivery for delivery in self.deliveries if delivery.institute in banks),
            tuple(file for file in self.data if file.institute in banks),
            tuple(selection for selection in self.selections if selection.institute in banks),
        )

    @cached_property
    def customers(self) -> tuple[Customer, ...]:
        """Everybody who is delivered at least once."""
        rows = {(row.order.institute, normal_form(row.customer.address)): row for row in self.rows()}
        return tuple(row.customer for row in rows.values())

    @cached_property
    def orders(self) -> Mapping[tuple[str, str], Order]:
        """All orders by BLZ and order number."""
        orders = [*(file.order for file in self.control_files), *(chosen.order for chosen in self.selections)]
        return {(order.institute, order.number): order for order in orders}

    def row_of(self, institute: str, order: str, delivery_number: int, address: str) -> PlannedRow | None:
        """The row that a received mail belongs to, or None if there is none.

        Addresses are compared in their normal form; within one delivery each stands once.
        """
        return self._by_mail.get((institute, order, delivery_number, normal_form(address)))

    def row_by_id(self, institute: str, order: str, delivery_number: int, reference: str) -> PlannedRow:
        """The row with this Referenz. Raises KeyError if there is none."""
        return self._by_id[institute, order, delivery_number, reference]

    @cached_property
    def dead_addresses(self) -> frozenset[str]:
        """Addresses that the mail server does not know, in their normal form."""
        return frozenset(normal_form(customer.address) for customer in self.customers if customer.dead)

    @cached_property
    def _by_id(self) -> dict[tuple[str, str, int, str], PlannedRow]:
        return {(row.order.institute, row.order.number, row.delivery_number, row.reference): row for row in self.rows()}

    @cached_property
    def _by_mail(self) -> dict[tuple[str, str, int, str], PlannedRow]:
        return {
            (row.order.institute, row.order.number, row.delivery_number, normal_form(row.customer.address)): row
            for row in self.rows()
            if row.outcome is not ExpectedOutcome.REJECTED
        }


def calendar_day(day_1: date, day: int) -> date:
    """The date of a demo day (1 to 3)."""
    return day_1 + timedelta(days=day - 1)


def moment(day_1: date, step: DeliveryStep) -> datetime:
    """When the core banks write the files of a step (UTC): their Erstellt_am."""
    hour, minute = {DeliveryStep.DAY_1_CURE: (5, 10), DeliveryStep.DAY_2_RENAME: (19, 30)}.get(step, (2, 15))
    if step.brings_data:
        hour, minute = 4, 10
    return clock.at(calendar_day(day_1, step.day), hour, minute)


def announced_at(day_1: date) -> datetime:
    """When the first control files were written (UTC): the evening before the demo."""
    return clock.at(day_1 - timedelta(days=1), 21, 30)


def good_first_day(not_before: date, states: tuple[str, ...]) -> date:
    """The first day from `not_before` on that begins three bank working days in a row in all these states."""
    day = not_before
    while not all(is_bank_working_day(calendar_day(day, number), state) for number in DAYS for state in states):
        day += timedelta(days=1)
    return day
