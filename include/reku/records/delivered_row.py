"""A row of a delivery as our tables hold it: the columns that have a role, in types of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from typing import NamedTuple

from reku.records.contract import Contract, Role
from reku.records.times import parse_date

YES = "J"
"""What a J/N column says for yes."""

MAIL = "email"
"""The channel of rows whose contract has no column for it."""


class DeliveredRow(NamedTuple):
    """What a row says in columns with a role. The names are those of the roles, and of columns of `delivery_rows`."""

    reference: str
    person_number: str
    address: str
    occasion_date: date
    valid_until: date | None
    consent: bool
    tracking: bool
    salutation: str | None
    content_key: str | None
    priority: int | None
    channel: str = MAIL


def row_reader(contract: Contract) -> Callable[[Mapping[str, str]], DeliveredRow]:
    """How to read a valid row of this contract, given by column names. A role that no column has is empty."""
    names = contract.roles
    channels = contract.words(names["channel"]) if "channel" in names else {}

    def read(fields: Mapping[str, str]) -> DeliveredRow:
        def of(role: Role) -> str:
            return fields.get(names.get(role, ""), "")

        last = of("valid_until").strip()
        return DeliveredRow(
            of("reference"),
            of("person_number"),
            of("address").strip(),
            _day(of("occasion_date")),
            _day(last) if last else None,
            of("consent") == YES,
            of("tracking") == YES,
            of("salutation") or None,
            of("content_key") or None,
            int(of("priority")) if of("priority") else None,
            channels.get(of("channel"), MAIL),
        )

    return read


_day = cache(parse_date)  # the rows of a delivery share a few days
