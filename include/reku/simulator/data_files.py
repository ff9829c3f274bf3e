"""What the cooperative bank draws from its core system each morning: customers and holdings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from reku.records import format_date
from reku.simulator.cooperative_bank import CooperativeBank, Person
from reku.simulator.world import BANK_3, DAYS, DeliveryStep, PlannedData, calendar_day, moment

REFUSES = "W"
"""Value of Werbesperre_KZ that the bank takes for a refusal of advertising."""


def data_files(bank: CooperativeBank, day_1: date) -> Iterator[PlannedData]:
    """All data of the three days."""
    for day in DAYS:
        step = DeliveryStep[f"DAY_{day}_DATA"]
        people, stand = bank.on(day), format_date(calendar_day(day_1, day))
        customers = [row for person in people for row in _customer(person, stand)]
        holdings = [row for person in people for row in _holdings(person)]
        for kind, rows in (("IDA_KUNDEN", customers), ("IDA_BESTAND", holdings)):
            yield PlannedData(BANK_3, kind, step, moment(day_1, step), tuple(rows))


def _customer(person: Person, stand: str) -> Iterator[Mapping[str, str]]:
    """A row for each mail address of a customer."""
    customer = person.customer
    for address in person.addresses:
        yield {
            "Personennummer": customer.person_number,
            "Haushalt_ID": person.household,
            "Ansprechperson": _yes(person.is_contact),
            "Anrede": customer.salutation,
            "Titel": customer.title,
            "Vorname": customer.first_name,
            "Nachname": customer.last_name,
            "Strasse": "Prüfweg 1",
            "PLZ": "01067",
            "Ort": "Musterstadt",
            "EMail": address,
            "Einwilligung_EMail": _yes(person.consents),
            "Tracking_Einwilligung": _yes(customer.allows_tracking),
            "Werbesperre_KZ": REFUSES if person.refuses else "",
            "Nachlass_KZ": _yes(person.is_estate),
            "Kundensegment": "PK",
            "Kunde_seit": format_date(min(holding.opened for holding in person.holdings)),
            "Geburtsdatum": format_date(person.born),
            "Berater_Nr": "B0042",
            "Stand": stand,
        }


def _holdings(person: Person) -> Iterator[Mapping[str, str]]:
    for holding in person.holdings:
        yield {
            "Vertragsnummer": holding.number,
            "Personennummer": person.customer.person_number,
            "Produktart": holding.product,
            "Eroeffnung": format_date(holding.opened),
            "Saldo_Klasse": "C",
        }


def _yes(true: bool) -> str:
    return "J" if true else "N"
