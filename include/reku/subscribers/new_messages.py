"""Open one message per accepted row of a delivery: whose it is, when it is due, whether it may be mailed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from reku.catalogue import Occasion, institutes, occasions
from reku.catalogue.channel_name import ChannelName
from reku.catalogue.window import DueWindow, message_window
from reku.foundation import addresses
from reku.foundation.errors import StageError
from reku.store.bulk import copy_rows
from reku.store.tables import deliveries, delivery_rows, messages
from reku.subscribers.global_suppressions import bar_here_too
from reku.vault.sealed_rows import hidden_parts

_BATCH = 10_000

_COLUMNS = (
    "institute",
    "order_id",
    "delivery_id",
    "delivery_number",
    "row_id",
    "reference",
    "person_number",
    "channel",
    "recipient_key",
    "occasion_date",
    "consent",
    "mailable",
    "tracking",
    "due_at",
    "last_day",
)


def create_messages(connection: sa.Connection, delivery: sa.Row[Any], order: sa.Row[Any], now: datetime) -> int:
    """Open the messages of a delivery and return how many.

    A row whose Referenz the ledger knows already under this order and number is left out. Raises StageError if the
    occasion has no file, ValueError for an invalid address.
    """
    known = _known_references(connection, delivery, order)
    common = delivery.institute, order.id, delivery.id, delivery.delivery_number
    window, public = _window(order, now), _public()
    channel = ChannelName.EMMA if _goes_by_emma(order) else None
    opened = 0
    for batch in _batches(connection, delivery.id):
        fresh = [row for row in batch if row.reference not in known]
        delivered = _delivered_addresses(connection, fresh)
        normal = _normal(delivered)
        plain = [normal[address] for address in delivered]
        opened += copy_rows(connection, messages, _COLUMNS, _opened(fresh, plain, common, window, public, channel))
        bar_here_too(connection, delivery.institute, set(filter(None, plain)))
    return opened


def _delivered_addresses(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> list[str]:
    """The address of each row, be it stored sealed or not."""
    return [
        row.address if hidden is None else hidden.address
        for row, hidden in zip(rows, hidden_parts(connection, rows), strict=True)
    ]


def _normal(delivered: Sequence[str]) -> dict[str, str]:
    """Each delivered address in its normal form; an empty one is of a row that goes to none."""
    normal_forms = {"": ""} | addresses.normalised(delivered)
    # What has no normal form is invalid, which the gate does not let through; normalise says so.
    return {
        address: normal_forms[address] if address in normal_forms else addresses.normalise(address)
        for address in delivered
    }


def _known_references(connection: sa.Connection, delivery: sa.Row[Any], order: sa.Row[Any]) -> frozenset[str]:
    return frozenset(
        connection.scalars(
            sa.select(messages.c.reference)
            .join(deliveries, deliveries.c.id == messages.c.delivery_id)
            .where(deliveries.c.order_id == order.id, deliveries.c.delivery_number == delivery.delivery_number)
        )
    )


def _batches(connection: sa.Connection, delivery_id: int) -> Iterator[Sequence[sa.Row[Any]]]:
    """The delivery's rows in the order of their lines, so many at a time: a delivery of any size fits into memory."""
    of = delivery_rows.c
    query: sa.Select[*tuple[Any, ...]] = (
        sa.select(
            of.id,
            of.line,
            of.reference,
            of.person_number,
            of.address,
            of.occasion_date,
            of.valid_until,
            of.consent,
            of.tracking,
            of.channel,
            of.data_key_id,
            of.sealed,
        )
        .where(of.delivery_id == delivery_id)
        .order_by(of.line)
        .limit(_BATCH)
    )
    last = 0
    while batch := connection.execute(query.where(of.line > last)).all():
        yield batch
        last = batch[-1].line


def _opened(
    rows: Sequence[sa.Row[Any]],
    plain: Sequence[str],
    common: tuple[str, int, int, int],
    window: Callable[[date, date | None], DueWindow],
    public: Callable[[str], bool],
    channel: ChannelName | None,
) -> Iterator[tuple[Any, ...]]:
    for row, address in zip(rows, plain, strict=True):
        due = window(row.occasion_date, row.valid_until)
        yield (
            *common,
            row.id,
            row.reference,
            row.person_number,
            channel or row.channel,
            addresses.keyed(common[0], address) if address else addresses.key_of_person(common[0], row.person_number),
            row.occasion_date,
            row.consent,
            not address or public(address.rpartition("@")[2]),
            row.tracking,
            due.due_at,
            due.last_day,
        )


def _public() -> Callable[[str], bool]:
    """Whether mail can reach a domain at all; for a valid address the domain alone decides."""
    return cache(lambda domain: addresses.is_public(f"somebody@{domain}"))


def _window(order: sa.Row[Any], now: datetime) -> Callable[[date, date | None], DueWindow]:
    institute = institutes().get(order.institute)
    campaign = None if institute is None else institute.campaign(order.order_number)
    return message_window(_occasion(order).window, campaign, now)


def _goes_by_emma(order: sa.Row[Any]) -> bool:
    institute = institutes().get(order.institute)
    campaign = None if institute is None else institute.campaign(order.order_number)
    return campaign is not None and campaign.emma is not None


def _occasion(order: sa.Row[Any]) -> Occasion:
    known = occasions()
    if order.occasion not in known:
        raise StageError(
            f"Order {order.order_number} of institute {order.institute} is for the occasion {order.occasion}, which has"
            f" no file. Add include/occasions/{order.occasion}.yaml, then clear the task."
        )
    return known[order.occasion]
