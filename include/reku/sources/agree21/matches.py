"""Whom a rule matches, with all that choosing among them and writing to them needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from reku.contact.reasons import has_freed
from reku.store.states import STILL_TO_BE_LOADED, in_states
from reku.store.tables import (
    deliveries,
    delivery_rows,
    holdings,
    impulses,
    messages,
    person_addresses,
    persons,
    selected_rows,
)
from reku.vault.day_keys import seals


class Match(NamedTuple):
    """A pair of person and Anlass_Datum that a rule matches, with one of the person's mail addresses.

    `known`: it has a message; `waits`: it stands in a delivery that is not loaded yet. Of a person without an address
    there is one with a null or empty `recipient_key`; what comes of an impulse or a holding is null where there is
    none. `sealed`: names and addresses, by the data key `data_key_id`.
    """

    person_number: str
    occasion_date: date
    contract_number: str | None
    years: int | None
    impulse: str | None
    tracking: bool
    estate: bool
    flags: list[str]
    salutation: str | None
    household: str
    household_rank: int
    advisor: str | None
    known: bool
    waits: bool
    priority: int | None
    made_at: datetime | None
    valid_until: date | None
    wished_channel: str | None
    value: str | None
    told_advisor: str | None
    product: str | None
    recipient_key: str | None
    domain: str | None
    data_key_id: int | None
    sealed: bytes | None


Address = dict[str, str]
"""Names, street, place and mail address of a match, by the fields of the customers' contract."""


def opener(connection: sa.Connection, found: Sequence[Match]) -> Callable[[Match], Address | None]:
    """Opens what is sealed of these matches; None: there is nothing, or its key was destroyed with all addresses.

    Raises SetupError if no vault key opens a data key.
    """
    keys = seals(connection, {match.data_key_id for match in found if match.data_key_id is not None})
    decode = msgspec.json.Decoder(Address).decode

    def opened(match: Match) -> Address | None:
        if match.sealed is None or match.data_key_id not in keys:
            return None
        return decode(keys[match.data_key_id].open(match.person_number, match.sealed))

    return opened


_OF_PERSONS = ("tracking", "estate", "flags", "salutation", "household", "household_rank", "advisor")
"""What a match has of the person, in its order."""


def matches(
    connection: sa.Connection, institute: str, order: int, found: sa.Select[Any], *, everybody: bool
) -> list[Match]:
    """Each pair that a rule matches, with the person and each mail address; in one statement, so from one state.

    `everybody`: who has no mail address is looked at as well, with name and street.
    """
    pair = found.add_columns(*(persons.c[name] for name in _OF_PERSONS)).subquery("found")
    address = person_addresses.alias("address")

    def is_pair_of(table: sa.Table) -> sa.ColumnElement[bool]:
        return (table.c.person_number == pair.c.person_number) & (table.c.occasion_date == pair.c.occasion_date)

    def waits_in(table: sa.Table) -> sa.ColumnElement[bool]:
        return sa.exists().where(
            table.c.delivery_id == deliveries.c.id,
            deliveries.c.order_id == order,
            in_states(deliveries, STILL_TO_BE_LOADED),
            is_pair_of(table),
        )

    known = sa.exists().where(messages.c.order_id == order, is_pair_of(messages), ~has_freed(messages))
    statement = (
        sa.select(
            pair,
            known.label("known"),
            (waits_in(delivery_rows) | waits_in(selected_rows)).label("waits"),
            impulses.c.priority,
            impulses.c.made_at,
            impulses.c.valid_until,
            impulses.c.wished_channel,
            impulses.c.value,
            impulses.c.advisor.label("told_advisor"),
            holdings.c.product,
            address.c.recipient_key,
            address.c.domain,
            address.c.data_key_id,
            address.c.sealed,
        )
        .select_from(pair)
        .outerjoin(impulses, (impulses.c.institute == institute) & (impulses.c.impulse == pair.c.impulse))
        .outerjoin(
            holdings,
            (holdings.c.institute == institute) & (holdings.c.contract_number == pair.c.contract_number),
        )
        .outerjoin(
            address,
            (address.c.institute == institute)
            & (address.c.person_number == pair.c.person_number)
            & (sa.true() if everybody else address.c.recipient_key != ""),
        )
        .order_by(pair.c.person_number, pair.c.occasion_date, address.c.recipient_key)
    )
    return [Match(*row) for row in connection.execute(statement)]
