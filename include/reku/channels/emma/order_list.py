"""An order's list in EMMA and the mailing that sends to it: found by a stable key, and checked before a hand-over."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from reku.channels.emma.answers import EmmaEmail, EmmaList
from reku.channels.emma.client import EmmaClient
from reku.channels.emma.errors import LIST_LIMIT, EmmaRefused
from reku.dispatch.plan import CampaignFault, SendPlan
from reku.store.tables import lists

NUMBER_OF_LISTS = 150
"""So many lists an account has."""
SENDS_BY_ITSELF = "campaign"
"""The one type that sends to people who come to its list, and to nobody else of it."""
ACTIVE = "activated"
_PREFIX = "reku"


@dataclass(frozen=True)
class OrderList:
    """The list of an order under its present name; a renamed order has another one."""

    id: int
    name: str
    key: str


def list_key(institute: str, order_number: str, list_id: int) -> str:
    """By what a list is found again, whatever it is called in EMMA: `reku:<BLZ>:<order>:<number of our list>`."""
    return f"{_PREFIX}:{institute}:{order_number}:{list_id}"


def order_list(connection: sa.Connection, plan: SendPlan) -> OrderList:
    """The list that the plan's order fills now."""
    row = connection.execute(
        sa.select(lists.c.id, lists.c.name)
        .where(lists.c.order_id == plan.order, lists.c.frozen_at.is_(None))
        .order_by(lists.c.id.desc())
        .limit(1)
    ).one()
    return OrderList(row.id, row.name, list_key(plan.institute.blz, plan.order_number, row.id))


def find_or_make_list(client: EmmaClient, wanted: OrderList) -> str:
    """The number in EMMA of the order's list, which is made if there is none with its key.

    Made once: an answer that was lost is made up for by finding the list. Raises CampaignFault where EMMA takes no
    further list.
    """
    there = [one for one in client.ask("getLists", list[EmmaList]) if one.substitute == wanted.key]
    if there:
        return str(there[0].id)
    try:
        made = client.once(
            "createList",
            int,
            name=wanted.name,
            advanced={"substitute": wanted.key, "description": "Wird von reku befüllt; bitte nicht löschen."},
        )
    except EmmaRefused as refused:
        if refused.code != LIST_LIMIT:
            raise
        raise CampaignFault(
            f"{refused} An account has {NUMBER_OF_LISTS} lists. Delete lists in EMMA that nothing sends to any more "
            "(`reku emma lists` names those of renamed orders), then clear `dispatch`."
        ) from None
    return str(made)


def check_email(client: EmmaClient, plan: SendPlan, list_number: str, list_name: str) -> EmmaEmail:
    """The mailing that the campaign names, if it sends to the list by itself.

    Raises CampaignFault, saying what to do in EMMA, before anybody is brought in.
    """
    through = plan.campaign.emma
    place = f"{plan.institute.name}, campaign {plan.campaign.name!r}, block send"
    if through is None:
        raise CampaignFault(f"{place}: messages wait for EMMA, and the block names no `emma` mailing. Name it there.")
    mailing = client.ask("getEmailById", EmmaEmail, emailId=through.mailing)
    faults = (
        (
            mailing.type != SENDS_BY_ITSELF,
            f"is of type {mailing.type}, which does not send to people as they come. Choose one of type campaign",
        ),
        (mailing.status != ACTIVE, f"is {mailing.status}, not {ACTIVE}. Activate it in EMMA"),
        (
            list_number not in map(str, mailing.listId),
            f"does not send to list {list_name!r} (number {list_number}). Choose that list in EMMA's campaign",
        ),
    )
    for holds, what in faults:
        if holds:
            raise CampaignFault(
                f"{place}: mailing {through.mailing} {what}, then clear `dispatch`. Nobody was handed over."
            )
    return mailing
