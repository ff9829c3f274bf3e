"""Customers as people: the rows of a person made one, and each person's place in the household. Pure functions.

All this happens with the numbers as delivered: pseudonyms have no order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from reku.records import parse_date
from reku.records.delivered_row import YES

ADDRESS_FIELDS = ("Anrede", "Titel", "Vorname", "Nachname", "Strasse", "PLZ", "Ort", "EMail")
"""What is sealed of a row, by the fields' names: what templates may name."""

Row = Mapping[str, str]


class Customer(NamedTuple):
    """A person of the file. Numbers are as delivered; `household` is empty for one of its own.

    `household_rank`: 1 is the contact person. `addresses`: what is sealed, one for each different row.
    """

    number: str
    household: str
    household_rank: int
    salutation: str | None
    consent: bool
    tracking: bool
    estate: bool
    flags: tuple[str, ...]
    postcode: str | None
    segment: str | None
    customer_since: date | None
    born: date | None
    advisor: str | None
    addresses: tuple[Row, ...]


@dataclass(frozen=True)
class Customers:
    """The people of a file; `unclear_households` have no contact person, or several."""

    people: tuple[Customer, ...]
    unclear_households: int


def customers_of(rows: Iterable[Row]) -> Customers:
    """The people of valid rows, which have all fields of the contract.

    Of rows that contradict each other about a consent the no wins, about anything else nothing is known.
    """
    by_person: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_person[row["Personennummer"]].append(row)
    ranks, unclear = _household_ranks(by_person)
    people = (_customer(number, ranks[number], own) for number, own in by_person.items())
    return Customers(tuple(people), unclear)


def _household_ranks(by_person: Mapping[str, list[Row]]) -> tuple[dict[str, int], int]:
    """Each person's rank in the household, and how many households have not exactly one contact person."""
    households: defaultdict[str, list[str]] = defaultdict(list)
    ranks: dict[str, int] = {}
    for number, rows in by_person.items():
        household = _same(rows, "Haushalt_ID")
        if household:
            households[household].append(number)
        else:
            ranks[number] = 1
    unclear = 0
    for members in households.values():
        contacts = {number for number in members if _all_yes(by_person[number], "Ansprechperson")}
        if len(contacts) != 1:
            unclear += 1
            contacts = set()
        ordered = sorted(members, key=lambda number: (number not in contacts, number))
        ranks |= {number: rank for rank, number in enumerate(ordered, start=1)}
    return ranks, unclear


def _customer(number: str, rank: int, rows: list[Row]) -> Customer:
    return Customer(
        number=number,
        household=_same(rows, "Haushalt_ID") or "",
        household_rank=rank,
        salutation=_same(rows, "Anrede"),
        consent=_all_yes(rows, "Einwilligung_EMail"),
        tracking=_all_yes(rows, "Tracking_Einwilligung"),
        estate=any(row["Nachlass_KZ"] == YES for row in rows),
        flags=tuple(sorted({row["Werbesperre_KZ"] for row in rows} - {""})),
        postcode=_same(rows, "PLZ"),
        segment=_same(rows, "Kundensegment"),
        customer_since=_same_day(rows, "Kunde_seit"),
        born=_same_day(rows, "Geburtsdatum"),
        advisor=_same(rows, "Berater_Nr"),
        addresses=tuple({field: row[field] for field in ADDRESS_FIELDS if row[field]} for row in rows),
    )


def _all_yes(rows: list[Row], field: str) -> bool:
    return {row[field] for row in rows} == {YES}


def _same(rows: list[Row], field: str) -> str | None:
    """What all rows say; None if they are silent or do not agree."""
    if len(rows) == 1:
        return rows[0][field] or None
    values = {row[field] for row in rows}
    return values.pop() or None if len(values) == 1 else None


def _same_day(rows: list[Row], field: str) -> date | None:
    value = _same(rows, field)
    return _day(value) if value else None


_day = lru_cache(100_000)(parse_date)  # people share the days that they were born on
