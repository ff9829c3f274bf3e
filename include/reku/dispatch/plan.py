"""The campaign check before dispatch: list in the first block, medium in the send block, active, list not frozen.

These are the usual causes of "nothing is sent" (docs/domain.md, "Campaigns"), so the text names the block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from reku.catalogue import institutes, media
from reku.catalogue.campaign import Campaign
from reku.catalogue.institute import Institute
from reku.catalogue.medium import Medium
from reku.catalogue.variant import variant_for
from reku.foundation.errors import StageError
from reku.store.tables import deliveries, lists, orders


class CampaignFault(StageError):
    """The campaign cannot send. The messages stay open; clearing `dispatch` sends what is still in its window."""


@dataclass(frozen=True)
class SendPlan:
    """What a delivery's mails are made of, and how they go out. `delivery` and `order` are their ids."""

    institute: Institute
    campaign: Campaign
    delivery: int
    order: int
    order_number: str
    occasion: str
    delivery_number: int
    media: Mapping[str, Medium]

    def for_channel(self, channel: str) -> SendPlan:
        """The plan with those media only that go out on a channel."""
        return replace(self, media={key: self.media[key] for key in self.campaign.media_of(channel)})

    def variant_for(self, person_number: str) -> str:
        """The name of the campaign's variant for one person, always the same for this mailing; empty without any."""
        variants = self.campaign.variants
        mailing = (self.institute.blz, self.order_number, str(self.delivery_number))
        return variant_for(variants, *mailing, person_number) if variants else ""

    def medium_for(self, content_key: str | None, variant: str = "") -> Medium:
        """The medium of one row: that of its variant, else the one chosen for it, else the send block's first.

        A variant that the campaign has no more, or has no medium of, says nothing.
        """
        of_variant = next((one.medium for one in self.campaign.variants if one.name == variant), None)
        chosen = of_variant or content_key or next(iter(self.media))
        if chosen not in self.media:
            raise CampaignFault(
                f"Campaign of order {self.order_number}, block 3 (send): rows ask for medium {chosen}, the block has "
                f"{', '.join(self.media)}. Add the medium to the block, then clear `dispatch`."
            )
        return self.media[chosen]


def send_plan(connection: sa.Connection, delivery: int) -> SendPlan:
    """Check the campaign of a delivery's order and say what its mails are made of.

    Raises CampaignFault naming the campaign and the block at fault.
    """
    row = connection.execute(
        sa.select(
            deliveries.c.institute,
            deliveries.c.delivery_number,
            deliveries.c.order_id,
            orders.c.order_number,
            orders.c.occasion,
        )
        .join(orders, orders.c.id == deliveries.c.order_id)
        .where(deliveries.c.id == delivery)
    ).one()
    institute = institutes().get(row.institute)
    if institute is None:
        raise CampaignFault(
            f"Institute {row.institute} has no file under include/institutes any more. Restore {row.institute}.yaml, "
            "then clear `dispatch`."
        )
    campaign = institute.campaign(row.order_number)
    if campaign is None:
        raise CampaignFault(
            f"{institute.name}: no campaign names order {row.order_number}. Add one to "
            f"include/institutes/{row.institute}.yaml (list, play-out time, medium), then clear `dispatch`."
        )
    _check_blocks(institute, campaign)
    _check_list(connection, campaign, row.order_id, row.order_number)
    known = media()
    return SendPlan(
        institute,
        campaign,
        delivery,
        row.order_id,
        row.order_number,
        row.occasion,
        row.delivery_number,
        {key: known[key] for key in campaign.send_media},
    )


def _check_blocks(institute: Institute, campaign: Campaign) -> None:
    faults = (
        (not campaign.active, "is not active", "Activate it"),
        (not campaign.start_list, "block 1 (start) has no list", "Choose the order's list there"),
        (campaign.play_out_time is None, "block 2 (wait) has no play-out time", "Set `until` there"),
        (not campaign.send_media, "block 3 (send) has no mail", "Choose the medium there"),
    )
    for holds, what, cure in faults:
        if holds:
            raise CampaignFault(f"{institute.name}, campaign {campaign.name!r}: {what}. {cure}, then clear `dispatch`.")


def _check_list(connection: sa.Connection, campaign: Campaign, order_id: int, order_number: str) -> None:
    """The first block names the order (its current list, through all renamings) or one list by name."""
    if campaign.start_list == order_number:
        return
    row = connection.execute(
        sa.select(lists.c.frozen_at, lists.c.order_id).where(lists.c.name == campaign.start_list)
    ).one_or_none()
    place = f"Campaign {campaign.name!r}, block 1 (start): list {campaign.start_list}"
    cure = f"Choose order {order_number} there, which follows every renaming, then clear `dispatch`."
    if row is None or row.order_id != order_id:
        raise CampaignFault(f"{place} is not a list of order {order_number}. {cure}")
    if row.frozen_at is not None:
        raise CampaignFault(f"{place} is frozen since the order was renamed. {cure}")
