"""A campaign in the bank's own file announces its order: no control file does it where we select the people."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.catalogue.campaign import Announcement, Campaign
from reku.catalogue.fields import OWN_NUMBER
from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.sources.source import AnnounceResult
from reku.store.kinds import HITS, EventKind
from reku.store.tables import lists, orders

_WANTED = [EventKind.SENT, *HITS]
"""Kinds of events that the advisors are told, besides those that are always told."""


def announce(engine: sa.Engine, bank: Institute, occasion: str) -> AnnounceResult:
    """Bring the orders of an occasion in line with the campaigns of a bank that announce it.

    An order whose campaign announces it no more is ended; it goes on when one does again. Nothing is written where
    nothing has changed. An order keeps its occasion: a campaign that announces another one is a problem.
    """
    campaigns = announcing(bank, occasion)
    with engine.begin() as connection:
        written = [
            write_order(connection, bank, campaign, campaign.announces) for campaign in campaigns if campaign.announces
        ]
        ended = _end_others(connection, bank.blz, occasion, [campaign.order for campaign in campaigns])
    problems = tuple(
        f"Institute {bank.blz}, campaign {campaign.name!r}: order {campaign.order} runs for another occasion than "
        f"{occasion} already. Give the campaign a new order number."
        for campaign, result in zip(campaigns, written, strict=True)
        if result is None
    )
    return AnnounceResult(announced=written.count(True), ended=ended, problems=problems)


def announcing(bank: Institute, occasion: str) -> list[Campaign]:
    """The campaigns of a bank that announce an order of an occasion."""
    return [one for one in bank.campaigns if one.announces and one.announces.occasion == occasion]


def write_order(connection: sa.Connection, bank: Institute, campaign: Campaign, announced: Announcement) -> bool | None:
    """Whether the order was made or changed; None if its number belongs to another occasion."""
    content: dict[str, Any] = {
        "name": campaign.name,
        "rhythm": announced.rhythm.value,
        "valid_from": announced.valid_from,
        "valid_until": announced.valid_until,
        "expected_by": bank.imports.data_by,
        "placeholder": announced.placeholder,
        "wanted_events": _WANTED,
        "ended": False,
    }
    new = insert(orders).values(institute=bank.blz, order_number=campaign.order, occasion=announced.occasion, **content)
    differs = sa.or_(*(orders.c[name].is_distinct_from(new.excluded[name]) for name in content))
    changed = connection.scalar(
        new.on_conflict_do_update(
            index_elements=["institute", "order_number"],
            set_={name: new.excluded[name] for name in content},
            where=(orders.c.occasion == announced.occasion) & differs,
        ).returning(orders.c.id)
    )
    if changed is not None:
        _name_list(connection, bank.blz, changed, campaign)
        return True
    known = connection.scalar(
        sa.select(orders.c.occasion).where(orders.c.institute == bank.blz, orders.c.order_number == campaign.order)
    )
    return False if known == announced.occasion else None


def _name_list(connection: sa.Connection, institute: str, order: int, campaign: Campaign) -> None:
    """The order's one list, called by its number; it follows the campaign's name."""
    list_ = insert(lists).values(
        institute=institute, order_id=order, order_name=campaign.name, name=campaign.order, reserved_at=clock.now()
    )
    connection.execute(
        list_.on_conflict_do_update(
            index_elements=["institute", "name"], set_={"order_name": list_.excluded.order_name}
        )
    )


def _end_others(connection: sa.Connection, institute: str, occasion: str, announced: list[str]) -> int:
    """End the orders that no campaign announces any more; returns how many."""
    return connection.execute(
        sa.update(orders)
        .where(orders.c.institute == institute, orders.c.occasion == occasion)
        .where(~orders.c.ended, orders.c.order_number.not_in(announced))
        .where(orders.c.order_number.regexp_match(f"^{OWN_NUMBER}$"))  # others were announced by somebody else
        .values(ended=True)
    ).rowcount
